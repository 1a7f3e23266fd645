"""`/metrics`: the figures of all processes on this machine, for Prometheus."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from realtime.health.health_views import asker_of
from realtime.metrics.sampling import current
from realtime.metrics.snapshots import read_snapshots


@never_cache
@require_safe
async def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the figures, to who asks from this machine or brings `HEALTH_KEY`.

    403 to others. 501 without the extra `metrics`. Figures of other processes are a second old.
    """
    if not asker_of(request).may_know:
        return _text("Ask from this machine, or with HEALTH_KEY.", status=403)
    try:
        from realtime.metrics.exposition import exposition
    except ModuleNotFoundError as error:
        return _text(f"{error.name} is missing: pip install 'shardlayer[metrics]'", status=501)
    sampling = current()
    if sampling is None:
        snapshots = []
    elif sampling.directory is None:
        snapshots = [sampling.snapshot()]
    else:
        sampling.save()
        snapshots = list(read_snapshots(sampling.directory))
    body, content_type = exposition(snapshots, request.headers.get("Accept", ""))
    return HttpResponse(body, content_type=content_type)


def _text(text: str, *, status: int) -> HttpResponse:
    return HttpResponse(f"{text}\n", content_type="text/plain; charset=utf-8", status=status)
