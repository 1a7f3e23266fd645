"""What a calm room holds between two writes: all of it, or the newest of each key. No I/O.

A room that is written to often costs each client a frame, a parse and a redraw for each message,
though nobody can read so fast. A calm room writes to its members at most so many times a second.
The first publication after a pause goes at once. What comes within the next interval waits for its
end, and leaves in one write. Such a room either loses nothing (the publications are joined), or is
conflated: of those with the same value under a key, only the newest is written.

A conflated member's offsets have holes. So each push behind a hole says what it follows:
`"after": 43` stands for "nothing that you need lies between 43 and this". What waits is written in
the order of offsets. So at each offset `p` that a member has reached this holds: of each key it has
the newest publication up to `p`, or a newer one comes behind `p`, pushed or from the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from shardlayer.core.types import CalmPolicy, Publication

HELD_BYTES = 262_144  # bytes of publications that wait in one room; with more they are written


class Calmed(NamedTuple):
    """A publication that is written now.

    Attributes:
        publication: The publication.
        after: The offset that it follows for members of this room; None if it is the one before.
        replayed: Whether it comes from the history, and members may have it.
    """

    publication: Publication
    after: int | None
    replayed: bool


class CalmWindow:
    """The publications of one room that wait for the next write.

    Args:
        policy: How calm the room is.

    Attributes:
        size: Bytes of the data that wait.
        conflated: Publications that a newer one has replaced, since the last `take`.
        due: When the next write may be, in the caller's time.
        is_timed: Whether the caller has begun to wait for that.
        epoch: The epoch of what waits; empty in a room that keeps no history.
    """

    __slots__ = (
        "_base", "_interval", "_key", "_last", "_waiting",
        "conflated", "due", "epoch", "is_timed", "size",
    )  # fmt: skip

    def __init__(self, policy: CalmPolicy) -> None:
        self._interval = 1 / policy.max_rate
        self._key = policy.conflate
        self._waiting: dict[object, tuple[Publication, bool]] = {}
        self._base = 0  # the offset before the first that waits
        self._last = 0  # that of the last one
        self.epoch = ""
        self.size = 0
        self.conflated = 0
        self.due = 0.0
        self.is_timed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether what waits has to be written now, however soon that is."""
        return self.size > HELD_BYTES

    def add(self, publication: Publication, *, replayed: bool = False) -> None:
        """Have a publication wait. They come in the order of their offsets.

        What comes again, as from a history, waits already.
        """
        if not self._waiting:
            self._base, self.epoch = publication.offset - 1, publication.epoch
        elif 0 < publication.offset <= self._last:
            return
        self._last = publication.offset
        key = self._key_of(publication.data)
        before = self._waiting.pop(key, None)  # what is put in again stands last
        if before is not None:
            self.size -= len(before[0].data)
            self.conflated += 1
        self._waiting[key] = publication, replayed
        self.size += len(publication.data)

    def take(self, now: float) -> Sequence[Calmed]:
        """Return what waits, to be written now; the next write is an interval later."""
        taken: list[Calmed] = []
        last = self._base
        for publication, replayed in self._waiting.values():
            follows = publication.offset == last + 1 or not publication.offset
            taken.append(Calmed(publication, None if follows else last, replayed))
            last = publication.offset
        self.forget()
        self.due = now + self._interval
        return taken

    def forget(self) -> None:
        """Have nothing wait any more."""
        self._waiting.clear()
        self.size = 0

    def _key_of(self, data: bytes) -> object:
        """Return what a publication is conflated by; nothing else has the key of one without."""
        if not self._key:
            return object()
        try:
            found = orjson.loads(data)[self._key]
        except (ValueError, TypeError, KeyError, IndexError):
            return object()
        # `1`, `1.0` and `True` are one key of a dictionary, but not of the application.
        return (type(found), found) if isinstance(found, str | int | float) else object()
