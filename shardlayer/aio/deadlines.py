"""Deadlines of many items, nearly all of which are done long before.

When a server's clients all leave at once, each of their applications has some time to end. That is
an entry here and not a timer, which would stay in the event loop's heap when it was cancelled.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Deadlines(Generic[Item]):
    """Items that all get the same time.

    Args:
        patience: That time, in the unit of the times that are passed to the methods.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: dict[Item, float] = {}  # in ascending order, as time goes on

    def __len__(self) -> int:
        """Return how many have time left, or are overdue and were not taken."""
        return len(self._since)

    def start(self, item: Item, now: float) -> None:
        """Give an item its time, from now on."""
        self._since.pop(item, None)
        self._since[item] = now

    def stop(self, item: Item) -> None:
        """Forget an item, if it is there."""
        self._since.pop(item, None)

    def take_first(self) -> Item | None:
        """Remove and return the item that was started first; None if there is none."""
        first = next(iter(self._since), None)
        if first is not None:
            del self._since[first]
        return first

    def take_overdue(self, now: float) -> list[Item]:
        """Remove and return the items whose time is over, those first that were started first."""
        since = self._since
        overdue = list(takewhile(lambda item: now - since[item] > self._patience, since))
        for item in overdue:
            del since[item]
        return overdue
