"""The project's settings for a server of which nobody said how much it sends at once."""

from tests.realtime.impatient_settings import *  # noqa: F403
from tests.realtime.impatient_settings import REALTIME

REALTIME["MAX_CLIENT_TEXT"] = 0
