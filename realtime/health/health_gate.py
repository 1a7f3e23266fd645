"""The health checks in front of Django: they pass no middleware, and none of its threads.

So they are answered in time under load, to whatever `Host` a probe has, over plain HTTP where
`SECURE_SSL_REDIRECT` is on, and when the database hangs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from realtime.asgi_answers import Scope, path_read, send_answer, worker_of
from realtime.health.health_answers import LIVE, LIVE_PATH, READY_PATHS, Answer, Asker, readiness

HttpApplication = Callable[[Any, Any, Any], Awaitable[object]]  # each library types it its way


class HealthGate:
    """An ASGI application for HTTP that answers health checks, and passes on everything else.

    Args:
        application: Django's, as a rule.
    """

    def __init__(self, application: HttpApplication) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        answer = await _answer(scope)
        if answer is None:
            await self._application(scope, receive, send)
            return
        body = orjson.dumps(answer.body(asker_of_scope(scope)))
        await send_answer(scope, send, answer.code, "application/json", body)


async def _answer(scope: Scope) -> Answer | None:
    path = path_read(scope)
    if path == LIVE_PATH:
        return LIVE
    if path in READY_PATHS:
        return await readiness(worker_of(scope))
    return None


def asker_of_scope(scope: Scope) -> Asker:
    """Return who asks, as an ASGI scope says it."""
    client = scope.get("client")
    return Asker(
        address=client[0] if client else None,
        headers={
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        },
        worker=worker_of(scope),
    )
