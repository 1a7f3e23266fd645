"""The project's settings with open rooms, and a dead Redis is noticed soon."""

from tests.realtime.open_settings import *  # noqa: F403
from tests.realtime.open_settings import CHANNEL_LAYERS

CHANNEL_LAYERS["default"]["CONFIG"]["publish_timeout"] = 3.0
