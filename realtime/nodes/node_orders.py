"""Orders to workers on any machine, sent through a room that only workers are in.

A worker that is told to drain does as on SIGTERM: it leaves the balancer, sends its clients away
over some seconds, and ends. Its supervisor starts it again. Only a worker on `shardlayer-daphne`
can. A worker that is told to close a connection, by its id, does so if it has that connection.

An order is signed with the project's `SECRET_KEY`. So it does not depend on who may publish to the
room: a client may not, but a view or a Kafka record may publish where a client says.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
from django.core import signing

from realtime.clients.protocol.commands import CLOSE_SIGNED_OUT
from realtime.rooms.room_names import NODES_ROOM
from shardlayer import (
    Broadcast,
    ClientName,
    HistoryPolicy,
    Node,
    ShardedChannelLayer,
    ShardUnavailable,
    Throttle,
    Worker,
)

logger = logging.getLogger(__name__)

RETRY_PAUSE = 0.5  # seconds until a shard that did not answer is asked again
ORDER_LIFETIME = 120  # seconds that an order counts, and is remembered
MAX_ORDERS = 1_000  # that are remembered
_SALT = "realtime.nodes.drain"  # of all orders; named for the first that there was


def policy() -> HistoryPolicy:
    """Return what the room of orders remembers: a worker may hear it again only in a while."""
    return HistoryPolicy(size=MAX_ORDERS, ttl=ORDER_LIFETIME)


def drain_order(node: str, by: str) -> bytes:
    """Return the order that a worker drains, as JSON.

    Args:
        node: The id of its node.
        by: Who orders it, for its log.
    """
    return _written({"drain": node, "by": by})


def close_order(client: str, by: str) -> bytes:
    """Return the order that a connection is closed, by its id, as JSON. See `drain_order`."""
    return _written({"close": client, "by": by})


class NodeOrder(NamedTuple):
    """An order: who gave it, and either the node that drains or the connection that is closed."""

    by: str
    drain: str = ""
    close: str = ""


def read_order(data: object) -> NodeOrder | None:
    """Return the order that a publication has; None if that is no order that counts."""
    text = data.get("order") if isinstance(data, dict) else None
    if not isinstance(text, str):
        return None
    try:
        order = signing.loads(text, salt=_SALT, max_age=ORDER_LIFETIME)
    except signing.BadSignature:  # or too old
        return None
    if not isinstance(order, dict):
        return None
    by, node, client = (order.get(key, "") for key in ("by", "drain", "close"))
    if not all(isinstance(each, str) for each in (by, node, client)) or bool(node) == bool(client):
        return None
    return NodeOrder(by, node, client)


def _written(order: dict[str, str]) -> bytes:
    return orjson.dumps({"order": signing.dumps(order, salt=_SALT)})


class NodeOrders:
    """Follows the orders for a worker, as a sink in their room. The owner must await `aclose()`.

    Args:
        layer: Whose room it is.
        node: The worker's; of the running loop.
        worker: What drains; None: it can't be told to.
        on_drain: Called when it has been told to.
    """

    def __init__(
        self,
        layer: ShardedChannelLayer,
        node: Node,
        worker: Worker | None,
        *,
        on_drain: Callable[[], object],
    ) -> None:
        self._on_drain = on_drain
        self._node = node
        self._worker = worker
        self._complaint = Throttle()
        self._tasks = layer.branch_tasks()
        self._tasks.supervise(self._join, "realtime: follow orders for workers")

    async def aclose(self) -> None:
        """Stop following."""
        await self._tasks.aclose()
        self._node.leave(NODES_ROOM, self)

    # As a sink.

    def write(self, broadcast: Broadcast) -> None:
        """Take what the room pushes. It raises nothing: else it would be put out of the room."""
        for text in broadcast.texts:
            try:
                push = orjson.loads(text)
            except orjson.JSONDecodeError:  # of a number that is too large for one
                continue
            if "data" in push:  # else something was missed; the order can be given again
                self._take(push["data"])

    def close(self, code: int, reason: str = "") -> None:
        """Do nothing: nobody closes a worker's own sink."""

    # Inside.

    async def _join(self) -> None:
        while True:
            try:
                joined = await self._node.join(NODES_ROOM, self)
            except ShardUnavailable as error:
                logger.debug("Orders can't be followed yet: %s", error)
                await asyncio.sleep(RETRY_PAUSE)
            else:
                joined.release()
                return

    def _take(self, data: Any) -> None:
        order = read_order(data)
        if order is None:
            if self._complaint.is_due():
                logger.warning("The room %s has an order that is invalid or too old.", NODES_ROOM)
            return
        if order.close:
            sink = self._node.client(ClientName(order.close))
            if sink is not None:
                logger.info("Told by %s to close the connection %s.", order.by, order.close)
                # Its session drops what the client has sent and nobody has done.
                client = getattr(sink, "client", None) or sink
                client.close(CLOSE_SIGNED_OUT, "disconnected by an operator")
            return
        worker = self._worker
        if order.drain == self._node.id and worker is not None and not worker.is_draining:
            logger.info("Told to drain by %s.", order.by)
            worker.drain()
            self._on_drain()
