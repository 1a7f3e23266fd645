"""The project's settings, with rooms that are open: nobody signs in."""

from config.settings import *  # noqa: F403
from config.settings import REALTIME

REALTIME["ROOMS"] = {"*": {"subscribe": "anyone"}}
