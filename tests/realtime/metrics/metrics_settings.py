"""The project's settings with a key for operators."""

from config.settings import *  # noqa: F403
from config.settings import REALTIME

REALTIME["HEALTH_KEY"] = "the key of the operators"
REALTIME["ROOMS"] = {"machine.*": {"subscribe": "anyone", "publish": "anyone"}}
