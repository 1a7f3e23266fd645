"""The project's settings with open rooms and low limits of streams, for processes of tests."""

from tests.realtime.open_settings import *  # noqa: F403
from tests.realtime.open_settings import REALTIME

REALTIME["MAX_CLIENT_BUFFER"] = 100_000
