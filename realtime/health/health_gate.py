"""The health checks in front of Django: they pass no middleware, and none of its threads.

So they are answered in time under load, to whatever `Host` a probe has, over plain HTTP where
`SECURE_SSL_REDIRECT` is on, and when the database hangs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from realtime.health.health_answers import LIVE, LIVE_PATH, READY_PATHS, Answer, Asker, readiness

Scope = Mapping[str, Any]
HttpApplication = Callable[[Any, Any, Any], Awaitable[object]]  # each library types it its way


class HealthGate:
    """An ASGI application for HTTP that answers health checks, and passes on everything else.

    Args:
        application: Django's, as a rule.
    """

    def __init__(self, application: HttpApplication) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        answer = None
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            answer = await _answer(scope)
        if answer is None:
            await self._application(scope, receive, send)
            return
        body = orjson.dumps(answer.body(asker_of_scope(scope)))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": answer.code, "headers": headers})
        is_head = scope["method"] == "HEAD"
        await send({"type": "http.response.body", "body": b"" if is_head else body})


async def _answer(scope: Scope) -> Answer | None:
    path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/")).strip("/")
    if path == LIVE_PATH:
        return LIVE
    if path in READY_PATHS:
        return await readiness(_worker(scope))
    return None


def _worker(scope: Scope) -> Any:
    return scope.get("extensions", {}).get("shardlayer", {}).get("worker")


def asker_of_scope(scope: Scope) -> Asker:
    """Return who asks, as an ASGI scope says it."""
    client = scope.get("client")
    return Asker(
        address=client[0] if client else None,
        headers={
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        },
        worker=_worker(scope),
    )
