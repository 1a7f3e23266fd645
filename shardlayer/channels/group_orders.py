"""What other processes tell a node of its channels: to be in groups, and to be in them no longer.

A shard keeps each order until the node says that it has taken it, so that none is lost with a
connection, or while the node stands still. A node that may have missed some asks its shard for
them. Until it has the answer, what else comes to its groups from there waits: what was sent after
an order is delivered after it. If a shard does not answer, its groups go on, and it is asked again.
An order that it tells of only then does not undo a later one, which came meanwhile. Nor does one
that had to wait undo what the node's own process changed later: see own_changes.py.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from shardlayer.aio.keyed_tasks import KeyedTasks
from shardlayer.aio.tasks import Tasks
from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.broker.interface import Queues
from shardlayer.broker.values import ORDERS_KEPT, Order
from shardlayer.channels.group_members import GroupMembers
from shardlayer.channels.own_changes import OwnChange, OwnChanges
from shardlayer.core.channel_names import node_of
from shardlayer.core.exceptions import ShardLayerError
from shardlayer.core.options import LayerOptions
from shardlayer.core.sharding import shard_of
from shardlayer.core.types import NodeId

logger = logging.getLogger(__name__)

RETRY_PAUSE = 0.2  # seconds between two tries to ask a shard
SOON = 0.05  # seconds within which a shard tells its clock; after them it is asked again
CLOCK_TRIES = 3


class _Held:
    """What came from a shard and waits for its answer, in order."""

    def __init__(self) -> None:
        self.steps: list[Callable[[], None]] = []
        self.numbers: set[int] = set()  # of the orders among them
        self.size = 0  # bytes of messages


class _Latest:
    """Which order was the last one about each channel in a group, while a shard is in doubt."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}  # as many as a shard keeps, at most

    def is_late(self, order: Order) -> bool:
        """Tell whether an order, or one that was given after it, was taken; else note it."""
        pair = (order.group, order.channel)
        if 0 < order.number <= self._numbers.get(pair, 0):
            return True
        # One that has no number was given after all that came before it.
        number = order.number or max(self._numbers.values(), default=0)
        self._numbers.pop(pair, None)
        if len(self._numbers) >= ORDERS_KEPT:
            del self._numbers[next(iter(self._numbers))]
        self._numbers[pair] = number
        return False


class GroupOrders:
    """The orders that one node hears, and the messages of its groups. Not thread-safe.

    Args:
        node: The node.
        memberships: Of its channels in groups, which the orders change.
        queues: Keep the orders.
        options: The layer's options.
        tasks: Of the node.

    Attributes:
        deliver: Hands a group's message to its members here, or has it wait for orders.
    """

    deliver: Callable[[str, bytes], None]

    def __init__(
        self,
        node: NodeId,
        memberships: GroupMembers,
        queues: Queues,
        options: LayerOptions,
        *,
        tasks: Tasks,
    ) -> None:
        self.deliver = memberships.deliver
        self._node = node
        self._memberships = memberships
        self._queues = queues
        self._shards = options.shards
        self._most = options.max_backlog  # bytes
        self._held: dict[int, _Held] = {}  # by shard, until it has answered or failed to
        self._latest: dict[int, _Latest] = {}  # by shard, until it has answered
        self._unheard = set(range(options.shards))  # shards that can't be heard
        self._own: dict[int, OwnChanges] = {}  # of these, and until they have answered
        self._doubted: set[int] = set()  # shards that are yet to be asked
        self._taken: dict[int, set[int]] = {}  # numbers that the shard is yet to be told
        self._tasks = tasks.branch()
        self._asking: KeyedTasks[int] = KeyedTasks(self._tasks)  # by shard, like the next
        self._telling: KeyedTasks[int] = KeyedTasks(self._tasks)
        self._complain = ThrottledLog(logger, logging.ERROR)
        self._complain_of_lost = ThrottledLog(logger, logging.WARNING)

    def __len__(self) -> int:
        """Return how many orders it took that a shard may still keep."""
        return sum(map(len, self._taken.values()))

    def lost(self, shards: Iterable[int]) -> None:
        """Note that shards can't be heard."""
        self._unheard.update(shards)

    def heard(self, shards: Iterable[int]) -> None:
        """Note that shards can be heard, which have no order for this node."""
        for shard in shards:
            self._unheard.discard(shard)
            self._own.pop(shard, None)

    def begin_own(self, shard: int, group: str, channel: str) -> OwnChange | None:
        """Note a change that the own process begins, and has to `end_own`.

        None if the shard can be heard, as far as is known. Then what was ordered before the change
        has been taken, but for what is on its way.
        """
        if shard not in self._unheard and shard not in self._latest:
            return None
        return self._own.setdefault(shard, OwnChanges()).begin(group, channel)

    def end_own(self, shard: int, change: OwnChange | None, *, failed: bool) -> None:
        """Note that a change has ended. If it failed, what did not count because of it counts."""
        if change is None:
            return
        order = self._own.get(shard, OwnChanges()).end(change, failed=failed)
        if order is not None:
            self._do(order)

    def doubt(self, shards: Sequence[int]) -> None:
        """Ask shards for orders that may have been missed; their groups wait for the answer."""
        for shard in shards:
            self._unheard.discard(shard)
            self._doubted.add(shard)
            self._held.setdefault(shard, _Held())
            self._latest.setdefault(shard, _Latest())
            self._asking.supervise(
                shard, partial(self._ask, shard), f"orders of shard {shard} for {self._node}"
            )
        if self._held:
            self.deliver = self._deliver_later

    def hear(self, shard: int, order: Order) -> None:
        """Take an order that came from a shard."""
        held = self._held.get(shard)
        if held is None:
            self._take(shard, order)
        else:
            held.numbers.add(order.number)
            now = asyncio.get_running_loop().time()
            held.steps.append(partial(self._take, shard, order, given=now))

    def echoed(self, shard: int, token: bytes) -> None:
        """Take what the node sent itself, through a shard, to hear it in its place."""
        held = self._held.get(shard)
        if held is None:
            self._memberships.echoed(token)
        else:
            held.steps.append(partial(self._memberships.echoed, token))

    def flushed(self, shard: int) -> None:
        """Drop what waits, since nothing of it was sent after a shard was flushed."""
        if shard in self._held:
            self._held[shard] = _Held()
        if shard in self._latest:
            self._doubted.add(shard)  # the answer that is under way may be from before

    async def aclose(self) -> None:
        """Stop asking, and telling."""
        await self._tasks.aclose()

    def _deliver_later(self, group: str, message: bytes) -> None:
        held = self._held.get(shard_of(group, self._shards))
        if held is None:
            self._memberships.deliver(group, message)
        elif held.size + len(message) > self._most:
            self._complain_of_lost("Messages of groups were lost: more than max_backlog waited")
        else:
            held.size += len(message)
            held.steps.append(partial(self._memberships.deliver, group, message))

    async def _ask(self, shard: int) -> None:
        while shard in self._doubted:
            self._doubted.discard(shard)
            try:
                kept = await self._kept(shard)
            except ShardLayerError as error:
                self._complain("Orders for groups of shard %d come late: %s", shard, error)
                self._doubted.add(shard)
                self._release(shard, [])  # what is sent to all members can't wait any longer
                await asyncio.sleep(RETRY_PAUSE)
                continue
            if shard not in self._doubted:  # else it was lost again meanwhile
                self._release(shard, kept)
                del self._latest[shard]
                if shard not in self._unheard:
                    self._own.pop(shard, None)

    async def _kept(self, shard: int) -> list[tuple[Order, float]]:
        """Return the orders that a shard keeps for this node, each with when it was given.

        That is by the clock of the event loop, at the latest for a discard and at the earliest for
        an add; infinite if the own process has changed nothing that they are about.
        """
        kept = [
            order
            for order in await self._queues.orders(shard, self._node)
            if node_of(order.channel) == self._node
        ]
        own = self._own.get(shard)
        if own is None or not any(map(own.knows, kept)):
            return [(order, math.inf) for order in kept]
        earliest, latest = await self._clock_starts(shard)
        return [(order, (earliest if order.add else latest) + order.number / 1e6) for order in kept]

    async def _clock_starts(self, shard: int) -> tuple[float, float]:
        """Return when a shard's clock was 0, by the event loop's: at the earliest, at the latest.

        The difference is the time in which the shard told its clock, in the quickest of some tries.
        """
        clock = asyncio.get_running_loop().time
        best = -math.inf, math.inf
        for _ in range(CLOCK_TRIES):
            asked = clock()
            time = await self._queues.order_clock(shard) / 1e6
            answered = clock()
            if answered - asked < best[1] - best[0]:
                best = asked - time, answered - time
            if answered - asked < SOON:
                break
        return best

    def _release(self, shard: int, kept: Sequence[tuple[Order, float]]) -> None:
        """Take what a shard kept, and then what has come since it was asked."""
        held = self._held.pop(shard, None) or _Held()
        if not self._held:
            self.deliver = self._memberships.deliver
        for order, given in kept:
            if order.number not in held.numbers:
                self._take(shard, order, given=given)
        for step in held.steps:
            step()

    def _take(self, shard: int, order: Order, *, given: float = math.inf) -> None:
        """Take an order that was given at a time of the loop's clock, or after it."""
        taken = self._taken.setdefault(shard, set())
        if order.number in taken:
            return
        latest = self._latest.get(shard)
        is_late = latest is not None and latest.is_late(order)
        if order.number:
            if len(taken) >= ORDERS_KEPT:  # the shard keeps no more either
                taken.discard(min(taken))
            taken.add(order.number)
            self._telling.supervise(
                shard, partial(self._tell, shard), f"orders of {self._node} that are taken"
            )
        own = self._own.get(shard)
        if not is_late and (own is None or not own.undo(order, given)):
            self._do(order)

    def _do(self, order: Order) -> None:
        if order.add:
            self._memberships.add_soon(order.group, order.channel)
        else:
            self._memberships.discard(order.group, order.channel)

    async def _tell(self, shard: int) -> None:
        """Tell a shard what was taken, and what is taken meanwhile."""
        while taken := set(self._taken.get(shard, ())):
            try:
                await self._queues.took(shard, self._node, taken)
            except ShardLayerError as error:
                self._complain("Shard %d keeps orders that were taken: %s", shard, error)
                return  # it is told with the next one; until then they are known by their numbers
            self._taken[shard] -= taken
        self._taken.pop(shard, None)
