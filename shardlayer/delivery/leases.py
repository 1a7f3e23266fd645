"""A node's leases: one entry per shard, by which the shard knows that the node is alive.

So renewing costs the same with ten rooms or 100,000. A node whose lease ended may have been
forgotten in its groups, and has to join them again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from shardlayer.aio.keyed_tasks import KeyedTasks
from shardlayer.aio.side_by_side import side_by_side
from shardlayer.aio.tasks import Tasks
from shardlayer.broker.interface import Leases
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import NodeId

logger = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 3  # so that one that fails loses no lease


class NodeLeases:
    """The leases of one node on all shards.

    Args:
        node: The node.
        leases: Where they are.
        options: The layer's options.
        on_lapsed: Called with shards whose lease had ended, or may have, so that their groups may
            be forgotten.
        tasks: Of the node.
    """

    def __init__(
        self,
        node: NodeId,
        leases: Leases,
        options: LayerOptions,
        *,
        on_lapsed: Callable[[Sequence[int]], None],
        tasks: Tasks,
    ) -> None:
        self._node = node
        self._leases = leases
        self._ttl = options.lease_ttl  # seconds
        self._interval = options.lease_ttl / RENEWALS_PER_LEASE
        self._on_lapsed = on_lapsed
        self._held: set[int] = set()  # shards
        self._renewed_at: dict[int, float] = {}  # the monotonic clock, by shard
        self._tasks = tasks.branch()
        self._first: KeyedTasks[tuple[int, ...]] = KeyedTasks(self._tasks)  # by shards
        self._renewals: KeyedTasks[int] = KeyedTasks(self._tasks)  # by server
        self._untried = set(range(options.shards))
        self._all_tried = asyncio.Event()
        self._closed = False

    def start(self) -> None:
        """Begin to renew, in tasks that `aclose` ends."""
        self._tasks.repeat(
            self._begin_renewals, f"renew leases of {self._node}", pause=lambda: self._interval
        )

    async def aclose(self) -> None:
        """Stop renewing."""
        self._closed = True
        await self._tasks.aclose()

    def begin(self, shards: Sequence[int]) -> None:
        """Begin a lease on shards that can be heard now, or begin it again, unless closed.

        Who calls this sees to what may have been forgotten.
        """
        if self._closed:
            return  # nobody would end it: it would outlive the node, and the task its loop
        self._first.supervise(
            tuple(shards), partial(self._renew, shards), f"first leases of {self._node}"
        )

    def tried(self, shards: Iterable[int]) -> None:
        """Note that these shards were tried, with whatever result, or that nobody serves them."""
        self._untried.difference_update(shards)
        if not self._untried:
            self._all_tried.set()

    async def settled(self) -> None:
        """Wait until each shard was tried, and those that can be heard had their first lease."""
        await self._all_tried.wait()
        await self._first.wait()

    def holds(self, shard: int) -> bool:
        """Tell whether the node had a lease on a shard, which may have ended meanwhile."""
        return shard in self._held

    @property
    def age(self) -> float | None:
        """Seconds since the oldest lease was renewed by itself; None without any. Any thread.

        A join renews one as well, which is not counted here.
        """
        renewed = list(self._renewed_at.values())  # copied in one step
        return time.monotonic() - min(renewed) if renewed else None

    def renewed(self, shard: int, *, had_lapsed: bool) -> None:
        """Note that a join has renewed the lease on a shard."""
        if had_lapsed:
            self._on_lapsed([shard])
            self._renewed_at[shard] = time.monotonic()  # that it had ended is told
        self._held.add(shard)

    async def renew(self) -> None:
        """Renew the node's leases, one pipelined write per server."""
        await self._begin_renewals()
        await self._renewals.wait()

    async def _begin_renewals(self) -> None:
        """Renew on each server by itself: one that hangs must not cost the leases on the others."""
        by_server: dict[int, list[int]] = {}
        for shard in sorted(self._held):
            by_server.setdefault(self._leases.server_of(shard), []).append(shard)
        for server, shards in by_server.items():
            self._renewals.supervise(
                server,
                partial(self._renew_and_tell, shards),
                f"renew leases of {self._node}",
            )

    async def _renew_and_tell(self, shards: Sequence[int]) -> None:
        lapsed = await self._renew(shards)
        if lapsed:
            logger.warning(
                "The lease of node %s had ended on shards %s; its rooms join again",
                *(self._node, lapsed),
            )
            self._on_lapsed(lapsed)

    async def _renew(self, shards: Sequence[int]) -> list[int]:
        """Renew leases; return those that had ended, or may have."""
        self._held.update(shards)  # whatever comes of it now: it is tried again
        now = time.monotonic()
        for shard in shards:
            self._renewed_at.setdefault(shard, now)
        answers = await side_by_side(self._leases.renew(shard, self._node) for shard in shards)
        lapsed = []
        for shard, leased in zip(shards, answers, strict=True):
            if not isinstance(leased, bool):
                continue
            unconfirmed = time.monotonic() - self._renewed_at.get(shard, now)
            # A join may have found it ended, and have renewed it, and its answer got lost.
            if not leased or unconfirmed > self._ttl:
                lapsed.append(shard)
            self._renewed_at[shard] = now
        return lapsed

    async def withdraw(self) -> None:
        """End the node's leases, as far as the shards can be reached."""
        await side_by_side(self._leases.withdraw(shard, self._node) for shard in sorted(self._held))
        self._held.clear()
        self._renewed_at.clear()
