"""The project's settings with reports each second, and a room for everybody."""

from config.settings import *  # noqa: F403
from config.settings import REALTIME

REALTIME["NODE_INTERVAL"] = 1
REALTIME["ROOMS"] = {"machine.*": {"subscribe": "anyone", "publish": "anyone"}}
