"""The project's settings, with rooms that know who is there: nobody signs in."""

from config.settings import *  # noqa: F403
from config.settings import REALTIME

REALTIME["ROOMS"] = {"*": {"subscribe": "anyone", "presence": "anyone"}}
