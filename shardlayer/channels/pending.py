"""What waits for one channel in one process: its groups' messages, and places of those sent to it.

The line knows how many group messages it holds, and when senders are to be told of that: in steps.
So for a reader that keeps up, whose few messages come and go, they are told nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

HELD_STEPS = 10  # of a channel's capacity, in which it is told how many group messages wait


class Waiting(NamedTuple):
    """A place in the line.

    Attributes:
        ends: Until when, in the owner's time; what waits longer is not delivered.
        message: A group's message; None for one that is in the channel's queue.
    """

    ends: float
    message: bytes | None


LOOK = Waiting(math.inf, None)
"""Look whether messages are in the queue, and fetch them all."""


class Held(NamedTuple):
    """The group messages of a line.

    Attributes:
        messages: How many there are.
        first, last: When the first and the last of them expires; 0 without any.
    """

    messages: int
    first: float
    last: float


NOTHING_HELD = Held(0, 0.0, 0.0)


class PendingMessages:
    """A queue of places.

    Args:
        capacity: Places there are.
        on_held: Called when `tell` is to be called.
    """

    def __init__(self, capacity: int, on_held: Callable[[], None]) -> None:
        self._capacity = capacity
        self._on_held = on_held
        self._places: deque[Waiting] = deque()
        self._held = 0  # group messages among the places
        self._told = 0  # of them, when it was last told
        self._step = max(1, capacity // HELD_STEPS)

    def resize(self, capacity: int) -> None:
        """Have as many places as that from now on; what waits stays."""
        self._capacity = capacity
        self._step = max(1, capacity // HELD_STEPS)

    @property
    def is_told(self) -> bool:
        """Whether it was told how many group messages it holds now."""
        return self._told == self._held

    def __len__(self) -> int:
        """Return the number of places that are taken."""
        return len(self._places)

    @property
    def head(self) -> Waiting:
        """The first place, of a line that is not empty."""
        return self._places[0]

    @property
    def has_look(self) -> bool:
        """Whether the queue is to be looked at."""
        return LOOK in self._places

    def is_over(self, now: float) -> bool:
        """Tell whether everything in it has expired."""
        return all(waiting is LOOK or waiting.ends <= now for waiting in self._places)

    def append(self, waiting: Waiting) -> None:
        """Take the last place."""
        self._places.append(waiting)
        if waiting.message is not None:
            self._count(1)

    def put_first(self, waiting: Waiting) -> None:
        """Take a place before all others."""
        self._places.appendleft(waiting)
        if waiting.message is not None:
            self._count(1)

    def pop(self) -> Waiting:
        """Return the first, which leaves the line."""
        waiting = self._places.popleft()
        if waiting.message is not None:
            self._count(-1)
        return waiting

    def clear(self) -> None:
        """Empty it."""
        self._places.clear()
        self._count(-self._held)

    def has_room(self, now: float) -> bool:
        """Tell whether a group's message may have a place; what has expired has none."""
        if len(self._places) < self._capacity:
            return True
        self.expire(now)
        if len(self._places) - self._places.count(LOOK) < self._capacity:
            return True
        if self._told != self._held:
            self._on_held()
        return False

    def make_room(self, now: float) -> bool:
        """Have a place free for what was sent; False if the newest group message lost its own."""
        if len(self._places) < self._capacity:
            return True
        self.expire(now)
        # Until the queue was looked at nobody knows how many wait there.
        if len(self._places) < self._capacity or not self._held or self.has_look:
            return True
        at = len(self._places) - 1
        while self._places[at].message is None:
            at -= 1
        del self._places[at]
        self._count(-1)
        return False

    def expire(self, now: float) -> None:
        """Forget what has waited for too long."""
        self._places = deque(waiting for waiting in self._places if waiting.ends > now)
        self._count(sum(waiting.message is not None for waiting in self._places) - self._held)

    def tell(self) -> Held:
        """Return what is now told to all who send."""
        self._told = self._held
        ends = [waiting.ends for waiting in self._places if waiting.message is not None]
        return Held(len(ends), min(ends, default=0.0), max(ends, default=0.0))

    def _count(self, more: int) -> None:
        self._held += more
        if abs(self._held - self._told) >= self._step or (self._told and not self._held):
            self._on_held()
