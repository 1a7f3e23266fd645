"""`/metrics` in front of Django, for a Prometheus that asks each node by its IP address.

Its `Host` is that address, which `ALLOWED_HOSTS` has no reason to list, and nodes come and go.
"""

from __future__ import annotations

from typing import Any

from realtime.asgi_answers import Scope, path_read, send_answer
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

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if path_read(scope) != METRICS_PATH:
            await self._application(scope, receive, send)
            return
        asker = asker_of_scope(scope)
        answer = metrics_answer(asker, asker.headers.get("accept", ""))
        await send_answer(scope, send, answer.status, answer.content_type, answer.body)
