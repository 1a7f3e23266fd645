"""The calm rooms of a hub: when what waits in each is written.

A room's window says what waits (see calm_window.py). What all of them hold together is bounded too:
past it a room's publications are written at once, whatever its rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter

from shardlayer.core.frames import Broadcast, joined
from shardlayer.core.pushes import encode_calmed
from shardlayer.core.types import Publication
from shardlayer.delivery.calm_window import CalmWindow
from shardlayer.delivery.exclusions import Exclusions
from shardlayer.delivery.room import LocalRoom
from shardlayer.delivery.rounds import Entries

CALM_SHARE = 4  # of what may wait in a hub, calm rooms may hold one part in so many

OnCalm = Callable[[LocalRoom, float], None]


class CalmRooms:
    """What waits in the calm rooms of one hub. Not thread-safe.

    Args:
        exclusions: Which messages of a round some member does not get.
        on_calm: Called with a room and the seconds after which `is_due` is to be called with it.
        limit: Bytes that may wait in all rooms together.
        clock: Seconds, monotonic.

    Attributes:
        due: The rooms whose time has come, to be written in the next round.
        size: Bytes that wait.
        delayed: Publications that waited for a write.
        conflated: Publications that no member got, since a newer one has replaced them.
    """

    def __init__(
        self,
        exclusions: Exclusions,
        on_calm: OnCalm,
        *,
        limit: int,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.due: dict[LocalRoom, CalmWindow] = {}
        self.size = 0
        self.delayed = 0
        self.conflated = 0
        self._exclusions = exclusions
        self._on_calm = on_calm
        self._limit = limit
        self._clock = clock
        self._before: dict[LocalRoom, Entries] = {}  # what goes before a reset

    def add(
        self,
        room: LocalRoom,
        window: CalmWindow,
        publication: Publication,
        *,
        replayed: bool = False,
        at_once: bool = False,
    ) -> None:
        """Have a publication written when its room may be: in this round, if that is now."""
        before = window.size
        window.add(publication, replayed=replayed)
        self.size += window.size - before
        left = window.due - self._clock()
        if left <= 0 or at_once or window.is_full or self.size > self._limit:
            self.due[room] = window
            return
        self.delayed += 1
        if not window.is_timed:
            window.is_timed = True
            self._on_calm(room, left)

    def is_due(self, room: LocalRoom) -> None:
        """Have what waits in a room written in the next round."""
        window = _window(room)
        if window is not None:
            window.is_timed = False
            if len(window):
                self.due[room] = window

    def collect(self, collected: dict[LocalRoom, Entries]) -> None:
        """Add what each room that is due is written, in this round."""
        for room, window in self.due.items():
            entries = self._take(room, window)
            if room.sinks and entries:
                collected[room] = entries
        self.due.clear()

    def break_off(self, room: LocalRoom, epoch: str) -> None:
        """Note that a room is reset to an epoch: what waits goes before that.

        What is of another epoch is dropped. Members can't compare its offsets with their own, and
        the reset says that something may be missing.
        """
        window = _window(room)
        if window is not None and len(window):
            is_same = window.epoch == epoch
            entries = self._take(room, window, excludes=False)
            if is_same and room.sinks:
                self._before[room] = entries

    def before_reset(self, room: LocalRoom, limit: int) -> Iterable[Broadcast]:
        """Return what waited in a room when it was reset, joined up to `limit` bytes."""
        entries = self._before.pop(room, None)
        return joined(entries, limit) if entries else ()

    def forget(self, room: LocalRoom) -> None:
        """Drop what waits in a room that nobody is in any more."""
        self.due.pop(room, None)
        self._before.pop(room, None)
        window = _window(room)
        if window is not None:
            self.size -= window.size
            window.forget()

    def _take(self, room: LocalRoom, window: CalmWindow, *, excludes: bool = True) -> Entries:
        self.size -= window.size
        entries: Entries = []
        for publication, after, replayed in window.take(self._clock()):
            if publication.exclude and excludes:
                self._exclusions.note(room, len(entries), publication.exclude, after)
            push = encode_calmed(publication, after, replayed=replayed)
            entries.append((push, publication.offset))
        self.conflated += window.conflated
        window.conflated = 0
        return entries


def _window(room: LocalRoom) -> CalmWindow | None:
    return room.special.window if room.special is not None else None
