"""The project's settings with rooms that keep little, or nothing."""

from config.settings import *  # noqa: F403
from config.settings import CHANNEL_LAYERS, REALTIME

REALTIME["ROOMS"] = {
    "small.*": {"subscribe": "anyone", "publish": "anyone", "history": {"size": 5, "ttl": 300}},
    "cursor.*": {"subscribe": "anyone", "publish": "anyone", "history": None},
    "signed.*": {"subscribe": "signed_in"},
    "closed.*": {"subscribe": "staff"},
    "*": {"subscribe": "anyone", "publish": "anyone", "presence": "anyone"},
}
CHANNEL_LAYERS["default"]["CONFIG"].pop("history", None)
# A test publishes faster than a person.
REALTIME |= {
    "MAX_CLIENT_PUBLISHES": 1_000,
    "MAX_USER_PUBLISHES": 1_000,
    "MAX_CLIENT_COMMANDS": 1_000,
}
