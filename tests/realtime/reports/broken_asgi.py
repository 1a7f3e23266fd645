"""The project's application, with a consumer that fails and a task that dies."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.realtime.reports.sentry_settings")

from channels.routing import ProtocolTypeRouter

from config.asgi import application as site
from realtime.sharded_layer import sharded_layer


async def dying() -> None:
    """End as no task should."""
    raise RuntimeError("the task is dead")


async def websocket(scope: Any, receive: Any, send: Any) -> None:
    """Fail at one address, begin a task at another; the rest is the site's."""
    if scope["path"] == "/broken/":
        await receive()
        raise RuntimeError("the consumer is broken")
    if scope["path"] == "/task/":
        sharded_layer().branch_tasks().supervise(dying, "a task of the project")
    await site(scope, receive, send)


application = ProtocolTypeRouter({**site.application_mapping, "websocket": websocket})
