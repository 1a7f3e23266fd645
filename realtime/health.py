"""Whether this process lives, and whether it can do its work."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from realtime.conf import conf
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardLayerError, ShardUnavailable


@never_cache
@require_safe
async def live(request: HttpRequest) -> JsonResponse:
    """Answer 200 as long as the event loop turns; asks nothing of anybody."""
    return JsonResponse({"status": "live"})


@never_cache
@require_safe
async def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 if this worker can serve clients, else 503, with the reasons.

    `ready`: all is well. `degraded`, which is 200 as well: some Redis servers do not answer, or a
    task of the layer fails. All workers share the servers, so if each of them gave up for one dead
    server, nobody would serve the rooms of the others. `not ready`: more than `READY_DEAD_SHARE`
    of the servers do not answer, or the layer does not fit what the servers hold.
    """
    layer = sharded_layer()
    settings = conf()
    try:
        servers = await ping()
    except ShardLayerError as error:
        return JsonResponse({"status": "not ready", "reasons": [str(error)]}, status=503)
    dead = {server: answer for server, answer in servers.items() if isinstance(answer, str)}
    failing = layer.failing_tasks
    is_ready = len(dead) <= settings.ready_dead_share * len(servers)
    body = {
        "status": ("degraded" if dead or failing else "ready") if is_ready else "not ready",
        "redis_ms": {server: answer for server, answer in servers.items() if server not in dead},
        "reasons": [
            *(f"{server}: {reason}" for server, reason in dead.items()),
            *(f"The task {name!r} fails and is tried again." for name in failing),
        ],
    }
    return JsonResponse(body, status=200 if is_ready else 503)


async def ping() -> dict[str, float | str]:
    """Return for each Redis server the milliseconds that it took to answer, or why it did not.

    A server that takes more than `CHECK_TIMEOUT` seconds did not.
    """
    answers = await sharded_layer().ping(conf().check_timeout)
    return {
        server: str(answer) if isinstance(answer, ShardUnavailable) else round(answer * 1000, 3)
        for server, answer in answers.items()
    }
