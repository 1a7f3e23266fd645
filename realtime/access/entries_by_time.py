"""Entries of logs, of which the oldest go first, in whatever order they were learned.

Two logs tell who was put out of rooms. The short one is read first, and the long one may have
entries of months ago. So an entry's time says how old it is, and not when it was read.
"""

from __future__ import annotations

from bisect import bisect_left, insort

Key = tuple[str, str, str]
"""Whom an entry concerns: a user, a room, a session; empty where it names none."""


class EntriesByTime:
    """When each of some keys was last told of, and at which offset of a log.

    Offset 0 is that of no known entry. A step costs as good as nothing for tens of thousands.
    """

    def __init__(self) -> None:
        self._entries: dict[Key, tuple[float, int, int]] = {}  # time, offset, number
        self._order: list[tuple[float, int, Key]] = []  # time, number, key; the oldest is first
        self._number = 0  # of the latest that was put; of the same time, the first put is older

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def get(self, key: Key) -> tuple[float, int] | None:
        """Return a key's time, in Unix seconds, and its offset; None if it is not there."""
        entry = self._entries.get(key)
        return None if entry is None else entry[:2]

    def put(self, key: Key, at: float, offset: int) -> None:
        """Take in an entry; of a key's time and offset, the latest count."""
        entry = self._entries.get(key)
        if entry is not None:
            before, latest, number = entry
            del self._order[bisect_left(self._order, (before, number, key))]
            at, offset = max(at, before), max(offset, latest)
        self._number += 1
        self._entries[key] = at, offset, self._number
        insort(self._order, (at, self._number, key))

    def oldest(self) -> float:
        """Return the oldest time; IndexError if there is none."""
        return self._order[0][0]

    def pop_oldest(self) -> tuple[float, int]:
        """Forget the oldest entry, and return its time and offset; IndexError if there is none."""
        at, offset, _ = self._entries.pop(self._order.pop(0)[2])
        return at, offset

    def forget_offsets(self) -> None:
        """Have each offset be 0: they are of another epoch."""
        self._entries = {key: (at, 0, number) for key, (at, _, number) in self._entries.items()}
