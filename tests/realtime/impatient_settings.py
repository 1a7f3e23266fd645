"""The project's settings for processes that tests start.

Rooms are open, and a dead Redis is noticed at once.
"""

from config.settings import *  # noqa: F403
from config.settings import CHANNEL_LAYERS, REALTIME
from tests.realtime.open_rooms import OPEN_ROOMS

CHANNEL_LAYERS["default"]["CONFIG"]["publish_timeout"] = 0.5
REALTIME["ROOMS"] = OPEN_ROOMS
