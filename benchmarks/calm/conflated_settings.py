"""The same, of which clients get only the newest: all messages of a benchmark have one text."""

from config.settings import *  # noqa: F403
from config.settings import REALTIME

REALTIME["ROOMS"] = {"*": {"subscribe": "anyone", "max_rate": 4, "conflate": "text"}}
