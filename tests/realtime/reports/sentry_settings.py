"""The project's settings with Sentry, and much that fails."""

import os
from typing import Any

import sentry_sdk

from config.settings import *  # noqa: F403
from config.settings import REALTIME

sentry_sdk.init(dsn=os.environ["SENTRY_DSN"], include_local_variables=False)

REALTIME["ROOMS"] = {
    "guarded": {"subscribe": "tests.realtime.reports.sentry_settings.broken_rule"},
    "*": {"subscribe": "anyone"},
}
REALTIME["KAFKA_ROUTE"] = "tests.realtime.reports.sentry_settings.broken_route"


def broken_rule(user: Any, room: str, claims: Any) -> bool:
    """Fail, as a project's rule may."""
    raise RuntimeError("the rule is broken")


def broken_route(record: Any) -> list[str]:
    """Fail, as a project's route may."""
    raise RuntimeError("the route is broken")
