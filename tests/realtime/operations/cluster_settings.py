"""The project's settings with reports each two seconds, and a room for everybody."""

from config.settings import *  # noqa: F403
from config.settings import REALTIME

REALTIME["NODE_INTERVAL"] = 2
REALTIME["CHECK_TIMEOUT"] = 10  # a busy machine is no dead server
REALTIME["ROOMS"] = {"machine.*": {"subscribe": "anyone", "publish": "anyone"}}
