"""The project's settings for processes that tests start: a dead Redis is noticed at once."""

from config.settings import *  # noqa: F403
from config.settings import CHANNEL_LAYERS

CHANNEL_LAYERS["default"]["CONFIG"]["publish_timeout"] = 0.5
