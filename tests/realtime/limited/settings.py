"""The project's settings with limits that a test can reach, given as JSON in the environment."""

import json
import os

from config.settings import *  # noqa: F403
from config.settings import CHANNEL_LAYERS, REALTIME

CHANNEL_LAYERS["default"]["CONFIG"] |= {"hosts": ["memory://"], "linger": 0.1}
REALTIME |= {
    "ROOMS": {"*": {"subscribe": "anyone", "publish": "anyone"}},
    **json.loads(os.environ["REALTIME"]),
}
