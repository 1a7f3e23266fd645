"""The project's settings with open rooms, for processes that tests start."""

from config.settings import *  # noqa: F403
from config.settings import REALTIME
from tests.realtime.open_rooms import OPEN_ROOMS

REALTIME["ROOMS"] = OPEN_ROOMS
