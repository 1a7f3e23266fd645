"""Whether this process lives, and whether it can do its work."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from realtime.conf import conf
from realtime.layers import sharded_layer
from shardlayer import ShardUnavailable


@never_cache
@require_safe
async def live(request: HttpRequest) -> JsonResponse:
    """Answer 200 as long as the event loop turns; asks nothing of anybody."""
    return JsonResponse({"status": "live"})


@never_cache
@require_safe
async def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 when every Redis server answers, else 503 with the reasons."""
    servers = await ping()
    reasons = [
        f"{server}: {answer}" for server, answer in servers.items() if isinstance(answer, str)
    ]
    if reasons:
        return JsonResponse({"status": "not ready", "reasons": reasons}, status=503)
    return JsonResponse({"status": "ready", "redis_ms": servers})


async def ping() -> dict[str, float | str]:
    """Return for each Redis server the milliseconds that it took to answer, or why it did not.

    A server that takes more than `CHECK_TIMEOUT` seconds did not.
    """
    answers = await sharded_layer().ping(conf().check_timeout)
    return {
        server: str(answer) if isinstance(answer, ShardUnavailable) else round(answer * 1000, 3)
        for server, answer in answers.items()
    }
