"""The project's settings, with rooms that every client may publish to: one of k6's users does."""

from config.settings import *  # noqa: F403
from config.settings import REALTIME

REALTIME["ROOMS"] = {"*": {"subscribe": "anyone", "publish": "anyone"}}
