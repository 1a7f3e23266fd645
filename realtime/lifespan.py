"""What a worker does before its first client and after its last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings

from realtime.access.rules_by_room import room_rules
from realtime.asgi_answers import worker_of
from realtime.clients.sign_in import LOG_PATIENCE
from realtime.clients.sign_in_watch import end_watch, watch_of
from realtime.conf import conf, room_settings
from realtime.metrics.metric_sources import Process
from realtime.metrics.sampling import start_sampling, stop_sampling
from realtime.nodes.node_orders import NodeOrders
from realtime.nodes.reporter import start_reports, stop_reports
from realtime.people.room_signals import send_room_signal
from realtime.process_events import told_as_running
from realtime.sharded_layer import sharded_layer

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def keeps_presence() -> bool:
    """Return whether the settings have any rooms of which it is known who is there."""
    return conf().user_room_presence or any(room.keeps_presence for room in room_settings())


async def lifespan(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """Start the channel layer's node with the server, and close the layer with it.

    So a worker whose Redis is away says so at once and not with its first client, one whose
    settings are wrong does not start, and one that stops leaves the registries. Servers without
    lifespan (stock Daphne) start the node with the first client and let its leases run out.
    With DEBUG our own server warns of what blocks its event loop.
    """
    worker = worker_of(scope)
    if worker is not None and settings.DEBUG:
        worker.warn_of_blocking()
    await receive()  # lifespan.startup
    try:
        room_rules()
        layer = sharded_layer()
        process = Process(role="worker", layer=layer, worker=worker)
        start_sampling(process)
        process.node = node = await layer.node()
        if keeps_presence():
            layer.room_watchers.add(send_room_signal)
            node.presence.watch()
        await layer.ping()  # a server that does not answer is waited for; one that can't do is not
    except Exception as error:
        stop_sampling()
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    reporter = start_reports(process)
    orders = NodeOrders(layer, node, worker, on_drain=reporter.report_soon)
    # Who comes back with a note at once is not to wait for the log.
    await watch_of(layer, node).log.settled(LOG_PATIENCE)
    with told_as_running("worker"):
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown
        await orders.aclose()
        await stop_reports()
        await end_watch(node)
        await layer.close()
        stop_sampling()
    await send({"type": "lifespan.shutdown.complete"})
