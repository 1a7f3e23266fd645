"""Having a worker end from afar: orders in a room that only workers are in.

A worker that is told to drain does as on SIGTERM: it leaves the balancer, sends its clients away
over some seconds, and ends. Whoever supervises it starts it again.

An order is signed with the project's `SECRET_KEY`. So it does not depend on who may publish to the
room: a client may not, but a view or a Kafka record may publish where a client says.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import orjson
from django.core import signing

from realtime.rooms.room_names import NODES_ROOM
from shardlayer import (
    Broadcast,
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
_SALT = "realtime.nodes.drain"


def policy() -> HistoryPolicy:
    """Return what the room of orders remembers: a worker may hear it again only in a while."""
    return HistoryPolicy(size=MAX_ORDERS, ttl=ORDER_LIFETIME)


def drain_order(node: str, by: str) -> bytes:
    """Return the order that a worker drains, as JSON.

    Args:
        node: The id of its node.
        by: Who orders it, for its log.
    """
    return orjson.dumps({"order": signing.dumps({"drain": node, "by": by}, salt=_SALT)})


def read_order(data: object) -> tuple[str, str] | None:
    """Return which node is to drain, and who ordered it; None if that is no order that counts."""
    text = data.get("order") if isinstance(data, dict) else None
    if not isinstance(text, str):
        return None
    try:
        order = signing.loads(text, salt=_SALT, max_age=ORDER_LIFETIME)
    except signing.BadSignature:  # or too old
        return None
    node, by = (order.get(key) if isinstance(order, dict) else None for key in ("drain", "by"))
    return (node, by) if isinstance(node, str) and isinstance(by, str) else None


class DrainOrders:
    """Follows the orders for a worker, as a sink in their room. The owner must await `aclose()`.

    Args:
        layer: Whose room it is.
        node: The worker's; of the running loop.
        worker: What drains.
        on_drain: Called when it has been told to.
    """

    def __init__(
        self,
        layer: ShardedChannelLayer,
        node: Node,
        worker: Worker,
        *,
        on_drain: Callable[[], object],
    ) -> None:
        self._on_drain = on_drain
        self._node = node
        self._worker = worker
        self._complaint = Throttle()
        self._tasks = layer.branch_tasks()
        self._tasks.supervise(self._join, "realtime: follow orders to drain")

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
                logger.warning("%s has what is no order, or one that is over.", NODES_ROOM)
            return
        node, by = order
        if node == self._node.id and not self._worker.is_draining:
            logger.info("Told to drain by %s.", by)
            self._worker.drain()
            self._on_drain()
