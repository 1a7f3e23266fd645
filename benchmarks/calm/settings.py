"""The project's settings, with rooms whose members are written to four times a second."""

from config.settings import *  # noqa: F403
from config.settings import REALTIME

REALTIME["ROOMS"] = {"*": {"subscribe": "anyone", "max_rate": 4}}
