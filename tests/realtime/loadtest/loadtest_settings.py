"""The project's settings, with an API and with rooms that clients may publish to."""

from config.settings import *  # noqa: F403
from config.settings import CHANNEL_LAYERS, REALTIME

LEASE = 6.0  # seconds; for one lease all nodes are told of everything
CHANNEL_LAYERS["default"]["CONFIG"]["lease_ttl"] = LEASE

ROOT_URLCONF = "tests.realtime.loadtest.loadtest_urls"
REALTIME |= {
    "ROOMS": {
        "open.*": {"subscribe": "anyone", "publish": "anyone"},
        "*": {"subscribe": "signed_in"},
    },
    "MAX_USER_PUBLISHES": 0,
}
