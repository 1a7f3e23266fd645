"""How many things a key has now, for keys that strangers bring.

A key is there only as long as it has something, so a tally never has more keys than there are
things.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Tally(Generic[Key]):
    """Counts by key.

    Args:
        most: Things that one key may have; 0: any number.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[Key, int] = {}

    def __len__(self) -> int:
        """Return how many keys have something."""
        return len(self._counts)

    def enter(self, key: Key) -> bool:
        """Count one more of a key, unless it has as many as it may; say whether it was counted."""
        count = self._counts.get(key, 0)
        if 0 < self._most <= count:
            return False
        self._counts[key] = count + 1
        return True

    def leave(self, key: Key) -> None:
        """Count one less of a key; whoever entered calls this once."""
        count = self._counts[key]
        if count == 1:
            del self._counts[key]
        else:
            self._counts[key] = count - 1
