"""`/metrics` in front of Django, for a Prometheus that asks each node by its IP address.

Its `Host` is that address, which `ALLOWED_HOSTS` has no reason to list, and nodes come and go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from realtime.health.health_gate import HttpApplication, asker_of_scope
from realtime.metrics.metrics_answer import metrics_answer

METRICS_PATH = "metrics"


class MetricsGate:
    """An ASGI application for HTTP that answers `/metrics`, and passes on everything else.

    Args:
        application: Django's, as a rule, or a `HealthGate` with it.
    """

    def __init__(self, application: HttpApplication) -> None:
        self._application = application

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        if not _is_asked(scope):
            await self._application(scope, receive, send)
            return
        asker = asker_of_scope(scope)
        answer = metrics_answer(asker, asker.headers.get("accept", ""))
        headers = [
            (b"content-type", answer.content_type.encode("latin-1")),
            (b"content-length", b"%d" % len(answer.body)),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})


def _is_asked(scope: Mapping[str, Any]) -> bool:
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    root: str = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    return path.removeprefix(root).strip("/") == METRICS_PATH
