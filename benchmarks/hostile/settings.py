"""The project's settings for a worker that strangers attack: rooms are open, nobody signs in."""

from config.settings import *  # noqa: F403
from config.settings import REALTIME

REALTIME["ROOMS"] = {
    "open": {"subscribe": "anyone", "publish": "anyone"},
    "*": {"subscribe": "anyone", "presence": "anyone"},
}
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"  # there is no database
