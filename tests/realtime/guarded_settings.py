"""The project's settings with a rule that asks the database."""

import os
from typing import Any

from django.db import connection

from config.settings import *  # noqa: F403
from config.settings import DATABASES, REALTIME

REALTIME["ROOMS"] = {"*": {"subscribe": "tests.realtime.guarded_settings.lets_in"}}
DATABASES["default"] |= {
    "CONN_MAX_AGE": None if os.environ["CONN_MAX_AGE"] == "none" else 0,  # seconds
    "CONN_HEALTH_CHECKS": os.environ["CONN_HEALTH_CHECKS"] == "1",
}


def lets_in(user: Any, room: str, claims: Any) -> bool:
    """Let everybody in whom the database lets in."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s <> 'closed'", [room])
        (allowed,) = cursor.fetchone()
    return bool(allowed)
