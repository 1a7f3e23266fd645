"""What a node's own process changes in groups of a shard while that shard can't be heard.

Orders of other processes wait in the shard meanwhile. One that was given before such a change must
not undo it later. The shard numbers orders by its clock, and the node knows its own, so it can tell
which was first. Where it can't tell, because both came within the time of an answer, the channel is
out of the group: nobody who was removed may hear on.
"""

from __future__ import annotations

import asyncio

from shardlayer.broker.values import ORDERS_KEPT, Order

CHANGES_KNOWN = ORDERS_KEPT  # the newest ones of a shard: it keeps no more orders either


class OwnChange:
    """A change of one channel in one group.

    Attributes:
        began: When, by the clock of the event loop.
        is_under_way: Whether it may still fail.
        undone: The last order that did not count because of it, and when that was given.
    """

    __slots__ = ("before", "began", "is_under_way", "pair", "undone")

    def __init__(self, group: str, channel: str, before: OwnChange | None) -> None:
        self.pair = group, channel
        self.before = before
        self.began = asyncio.get_running_loop().time()
        self.is_under_way = True
        self.undone: tuple[Order, float] | None = None


class OwnChanges:
    """The newest changes of one node in groups of one shard. Not thread-safe."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str], OwnChange] = {}  # the last at the end

    def begin(self, group: str, channel: str) -> OwnChange:
        """Note a change that begins now, and that `end` must be called for."""
        change = OwnChange(group, channel, self._latest.pop((group, channel), None))
        if change.before is not None:
            change.before.before = None
        if len(self._latest) >= CHANGES_KNOWN:
            del self._latest[next(iter(self._latest))]
        self._latest[change.pair] = change
        return change

    def end(self, change: OwnChange, *, failed: bool) -> Order | None:
        """Note that a change has ended; return the order that counts after all, if it failed."""
        change.is_under_way = False
        if not failed:
            return None
        latest = self._latest.get(change.pair)
        if latest is change:
            del self._latest[change.pair]
            if change.before is not None:
                self._latest[change.pair] = change.before
        elif latest is not None and latest.before is change:
            latest.before = None
        if change.undone is None or self.undo(*change.undone):
            return None
        order, _ = change.undone
        return order

    def undo(self, order: Order, given: float) -> bool:
        """Tell whether a change began after an order was given, which then does not count.

        Args:
            order: The order.
            given: When it was given, by the clock of the event loop.
        """
        change = self._latest.get((order.group, order.channel))
        if change is None or change.began <= given:
            return False
        if change.is_under_way:
            change.undone = order, given
        return True

    def knows(self, order: Order) -> bool:
        """Tell whether a change of the order's channel in its group is known."""
        return (order.group, order.channel) in self._latest
