"""`/metrics` as Django's view: behind its middleware, for a `Host` of `ALLOWED_HOSTS`."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from realtime.health.health_views import asker_of
from realtime.metrics.metrics_answer import metrics_answer
from realtime.view_decorators import machine_view


@machine_view
@require_safe
async def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the figures (see `metrics_answer`)."""
    answer = metrics_answer(asker_of(request), request.headers.get("Accept", ""))
    return HttpResponse(answer.body, content_type=answer.content_type, status=answer.status)
