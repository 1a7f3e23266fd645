"""The project's settings for a relay: long histories, a lease that ends soon, patient SQLite."""

import os

from config.settings import *  # noqa: F403
from config.settings import CHANNEL_LAYERS, DATABASES, REALTIME

CHANNEL_LAYERS["default"]["CONFIG"] |= {
    "history": {"outbox.*": {"size": 10_000, "ttl": 3600}},
    "publish_timeout": 2.0,
}
REALTIME["OUTBOX_POLL"] = float(os.environ.get("OUTBOX_POLL", "0.1"))  # seconds
REALTIME["OUTBOX_LEASE"] = float(os.environ.get("OUTBOX_LEASE", "1.0"))  # seconds
if "sqlite" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["OPTIONS"] = {"timeout": 30, "transaction_mode": "IMMEDIATE"}
