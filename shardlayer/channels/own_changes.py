"""When a node was last told by its own process to change who is in its groups.

An order of another process that was given before such a change, and is heard after it, must not
undo it. Redis numbers orders by its clock, and this node knows its own: so it can tell which was
first.
"""

from __future__ import annotations

import asyncio
import math

CHANGES_KNOWN = 10_000  # the newest ones: some 2 MB for a node, at most

Noted = tuple[tuple[str, str], float, float | None]
"""A change: group and channel, when it began, and when the one before it did."""


class OwnChanges:
    """The newest changes of one node by its own process. Not thread-safe."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, str], float] = {}  # by group and channel, the last at the end

    def note(self, group: str, channel: str) -> Noted:
        """Note a change that begins now. One that fails is to be forgotten: it changes nothing."""
        pair, times = (group, channel), self._times
        before = times.pop(pair, None)
        if len(times) >= CHANGES_KNOWN:
            del times[next(iter(times))]
        began = times[pair] = asyncio.get_running_loop().time()
        return pair, began, before

    def forget(self, noted: Noted) -> None:
        """Forget a change that failed; the one before it counts again."""
        pair, began, before = noted
        if self._times.get(pair) == began:  # else there was another since
            del self._times[pair]
            if before is not None:
                self._times[pair] = before

    def knows(self, group: str, channel: str) -> bool:
        """Tell whether a change of a channel in a group is known."""
        return (group, channel) in self._times

    def last(self, group: str, channel: str) -> float:
        """Return when the last known change of a channel in a group began, by the loop's clock.

        Minus infinity if none is known.
        """
        return self._times.get((group, channel), -math.inf)
