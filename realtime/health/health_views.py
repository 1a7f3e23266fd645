"""The health checks as Django's views: behind its middleware, at any address."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from realtime.asgi_answers import worker_of
from realtime.health.health_answers import LIVE, Answer, Asker, readiness
from realtime.view_decorators import machine_view


@machine_view
@require_safe
async def live(request: HttpRequest) -> JsonResponse:
    """Answer 200 as long as the event loop turns; asks nothing of anybody."""
    return _response(LIVE, asker_of(request))


@machine_view
@require_safe
async def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 if this worker can serve clients, else 503 (see `readiness`)."""
    asker = asker_of(request)
    return _response(await readiness(asker.worker), asker)


def asker_of(request: HttpRequest) -> Asker:
    """Return who asks, as a request of Django's says it."""
    scope: dict[str, Any] = getattr(request, "scope", {})  # under WSGI there is none
    return Asker(
        address=request.META.get("REMOTE_ADDR"),
        headers={name.lower(): value for name, value in request.headers.items()},
        worker=worker_of(scope),
    )


def _response(answer: Answer, asker: Asker) -> JsonResponse:
    return JsonResponse(answer.body(asker), status=answer.code)
