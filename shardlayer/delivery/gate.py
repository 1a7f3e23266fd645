"""Where a new member of a room stands until its reply was written.

Pushes may arrive before the caller has written its reply. A member therefore starts behind a
`Gate`, which is one of four things:

    closed    The reply was not written. Pushes wait here.
    skipping  The member is given them from the history. Pushes are dropped.
    open      The reply was written. What it brought the member already does not come again.
    gone      The first push came through. The gate has taken itself out of the room: the member is
              written to directly.

This is a state of the member. The room goes on meanwhile, for everybody else.
"""

from __future__ import annotations

from shardlayer.core.frames import Broadcast
from shardlayer.core.pushes import PresencePush, Reset
from shardlayer.core.types import Position, Sink
from shardlayer.delivery.room import LocalRoom

HELD_BYTES = 1_048_576  # bytes of frames that wait at one gate, at most


class Gate:
    """Stands before a new member's sink until its reply was written.

    Pushes wait behind a closed gate. Once opened at a position it lets through what comes after
    it, and takes itself out of the room with the first broadcast that does.

    What waits is bounded. Past `HELD_BYTES`, and for a member that reads on in the history, pushes
    are skipped instead: the member is given them from there.

    The reply may have come from Redis, which may be ahead of the room by publications. The member
    has them already. The room has come to the reply's epoch when the reply is given (see
    `catching_up.py`): what waits from another one, before that, is older, and is dropped.

    Attributes:
        hides_compression: Whether the sink behind it takes compressed frames. To a gate itself
            they are not sent: it has to see the broadcast.
        skips: Whether something was skipped, so that the gate must not be opened.
    """

    __slots__ = ("_floor", "_held", "_room", "_sink", "_size", "hides_compression", "skips")

    def __init__(self, room: LocalRoom, sink: Sink) -> None:
        self._room = room
        self._sink = sink
        self._held: list[tuple[Broadcast, Position | None]] | None = []
        self._size = 0  # bytes of frames in _held
        self._floor: Position | None = None
        self.hides_compression = getattr(sink, "compression", None) is not None
        self.skips = False

    def write(self, broadcast: Broadcast) -> None:
        # A round of the hub has one epoch, which the room is in while it is written.
        if self._held is None:
            self._pass(broadcast, self._room.position)
        elif not self.skips:
            self._held.append((broadcast, self._room.position))
            self._size += len(broadcast.frames)
            # What no history keeps is held, however much it is.
            if self._size > HELD_BYTES and self._room.position is not None:
                self.skip()

    def is_in(self, room: LocalRoom) -> bool:
        """Tell whether its member is in the room, and has not joined again meanwhile."""
        return room.sinks.get(self._sink) is self

    def hold(self) -> None:
        """Hold what comes from now on."""
        self._held, self._size, self.skips = [], 0, False

    def skip(self) -> None:
        """Forget what waits, and what comes until `hold`."""
        self._held, self._size, self.skips = [], 0, True

    def open(self, floor: Position | None) -> None:
        """Write what waited beyond `floor`, at which the member now is, and stay open."""
        held, self._held = self._held or [], None
        self._size = 0
        self._floor = floor
        older = self._older(held)
        for number, (broadcast, here) in enumerate(held):
            if number >= older or isinstance(broadcast, PresencePush):
                self._pass(broadcast, here)

    def close(self, code: int, reason: str = "") -> None:
        self._sink.close(code, reason)

    def _older(self, held: list[tuple[Broadcast, Position | None]]) -> int:
        """Return how much of what waited came before the epoch that the member knows of."""
        if self._floor is None:
            return 0
        places = [here for _, here in held] + [self._room.position]
        for number, here in enumerate(places):
            if here is not None and here.epoch == self._floor.epoch:
                return number
        return 0

    def _pass(self, broadcast: Broadcast, here: Position | None) -> None:
        if isinstance(broadcast, PresencePush):
            self._sink.write(broadcast)  # it says nothing of where the member is
            return
        rest = self._news(broadcast, here)
        if rest is not None:
            self._sink.write(rest)
            self._floor = None
            if self._room.sinks.get(self._sink) is self:  # only now: who fails is removed as a gate
                self._room.sinks[self._sink] = self._sink

    def _news(self, broadcast: Broadcast, here: Position | None) -> Broadcast | None:
        """Return what of a broadcast the member does not have, given where the room is."""
        floor = self._floor
        if floor is None:
            return broadcast
        if isinstance(broadcast, Reset):
            to = broadcast.position
            is_news = to.epoch != floor.epoch or to.offset > floor.offset
            return broadcast if is_news else None
        if here is None:
            return broadcast
        if here.epoch != floor.epoch:
            return None  # from before the epoch that it knows of
        return broadcast.after(floor.offset)
