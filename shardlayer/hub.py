"""How a publication reaches the members of a room in this node.

A hub holds the rooms of one shard. Publications are fed to it as they arrive and delivered in the
next turn of the event loop, in turns of each hub's own, so that a busy shard holds up no other. A
delivery takes what waits, a round of up to 1 MiB: what is for one room is framed and joined once,
and every member gets one write. A large room is written in slices, between which the event loop
gets its turn; the order stays, because the next delivery starts after the last slice.

A room that keeps history knows its position, the last offset that its members were written. A
publication at or below it is a repeat and is dropped. One that leaves a gap, or comes from another
epoch, is held back with all that follows, and the room is reported to `on_gap`: the node asks
Redis for what is missing and `admit`s it, which also ends a room's first join.

What waits is bounded. When more comes than can be written, all of it is dropped, and the rooms that
it was for are treated as having a gap: they go on from their histories.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Sequence
from time import perf_counter

from shardlayer.arrivals import Arrived, loss_of, size_of
from shardlayer.fanout import fan_out
from shardlayer.frames import Broadcast, joined
from shardlayer.gate import Gate
from shardlayer.pushes import encode_push, encode_reset
from shardlayer.room import Room
from shardlayer.turns import Turns
from shardlayer.types import Position, Publication, Sink

logger = logging.getLogger("shardlayer.hub")

ROUND_BYTES = 1_048_576  # of what arrived, taken for one round of writing


class Hub:
    """The rooms of one shard in one node.

    Not thread-safe: everything happens on the node's event loop.

    Args:
        slice_size: Members that are written to before the event loop gets a turn.
        write_bytes: Bytes joined into one write, at most; one larger message goes alone.
        max_backlog: Bytes that may wait.
        turns: The turns of the event loop, which the node's hubs share.
        on_gap: Called with a room that has just been found not to be contiguous.

    Attributes:
        delivered: Messages written to members.
        unwanted: Publications that came for a group without members.
        failed: Members removed because writing to them raised.
        overflows: How often more waited than `max_backlog`, and was dropped.
        dropped: Publications of rooms without history that were lost so.
    """

    def __init__(
        self,
        *,
        slice_size: int,
        write_bytes: int,
        max_backlog: int,
        turns: Turns,
        on_gap: Callable[[Room], None],
    ) -> None:
        self.rooms: dict[str, Room] = {}
        self.delivered = 0
        self.unwanted = 0
        self.failed = 0
        self.overflows = 0
        self.dropped = 0
        self._slice_size = slice_size
        self._write_bytes = write_bytes
        self._max_backlog = max_backlog
        self._turns = turns
        self._on_gap = on_gap
        self._waiting: deque[Arrived] = deque()
        self._waiting_size = 0  # bytes, as the next two
        self._writing_size = 0
        self._held_size = 0

    @property
    def backlog(self) -> int:
        """Bytes of publications that arrived and have not been written yet."""
        return self._waiting_size + self._writing_size + self._held_size

    def open(self, name: str) -> Room:
        """Return the room of that name, made if there was none."""
        room = self.rooms.get(name)
        if room is None:
            room = self.rooms[name] = Room(name)
        return room

    def join(self, room: Room, sink: Sink) -> Gate:
        """Make `sink` a member, behind a closed gate. O(1)."""
        gate = Gate(room, sink)
        room.sinks[sink] = gate
        return gate

    def leave(self, name: str, sink: Sink) -> Room | None:
        """End a membership, if there is one, and return the room, if there is one. O(1)."""
        room = self.rooms.get(name)
        if room is not None:
            room.sinks.pop(sink, None)  # gone already if writing to it had failed
        return room

    def forget(self, room: Room) -> None:
        """Drop a room that nobody is in, with what is held back for it."""
        del self.rooms[room.name]
        self._held_size -= size_of(room.held or ())

    def feed(self, publications: Sequence[Publication], size: int) -> bool:
        """Take publications that arrived, in order, `size` bytes. `deliver` hands them out.

        Returns False if that was too much, so that all that waits was dropped.
        """
        self._waiting.append(Arrived(publications, size))
        self._waiting_size += size
        if self._waiting_size + self._writing_size + self._held_size <= self._max_backlog:
            return True
        self._shed()
        return False

    def hold(self, room: Room) -> list[Publication]:
        """Hold a room's publications back until it is admitted; return those held."""
        if room.held is None:
            room.held = []
        return room.held

    def admit(
        self,
        room: Room,
        position: Position | None,
        publications: Sequence[Publication] = (),
        *,
        contiguous: bool = True,
    ) -> None:
        """Let a held room go on at `position`, after `publications` that its members missed.

        `contiguous` is False where the members may have missed more than that: they are told. If
        `publications` end before `position`, or the room is deaf, it has a gap again behind them.
        """
        held, room.held = room.held or [], None
        self._held_size -= size_of(held)
        room.entered = True
        if position is None:
            self._go_on(room, held, again=room.deaf)
            return
        start = publications[0].offset - 1 if publications else position.offset
        floor = Position(offset=start, epoch=position.epoch)
        reset = None
        if room.position is None:
            room.position = floor
        elif not contiguous or room.position.epoch != position.epoch:
            reset = floor
        # What follows only after more that is asked for comes with that.
        again = room.deaf or (bool(publications) and publications[-1].offset < position.offset)
        if not again:
            # What another epoch counted is history that nobody can place any more.
            current = [publication for publication in held if publication.epoch == position.epoch]
            publications = [*publications, *current]
        self._go_on(room, publications, reset, again=again)

    def _go_on(
        self,
        room: Room,
        publications: Sequence[Publication],
        reset: Position | None = None,
        *,
        again: bool,
    ) -> None:
        room.deaf = False
        arrived = Arrived(publications, size_of(publications), room, reset, again)
        self._waiting.appendleft(arrived)
        self._waiting_size += arrived.size

    def deliver(self) -> Generator[None, None, None]:
        """Write all that waits to the members, and what comes meanwhile. One call at a time.

        Yields whenever the event loop should have its turn before it is asked to go on.
        """
        turns = self._turns
        turns.begin()
        try:
            while self._waiting:
                if self._waiting[0].reset is not None:
                    yield from self._write_slices(*self._reset_first())
                # Within a round no room changes its epoch.
                for room, texts in self._collect().items():
                    for broadcast in joined(texts, self._write_bytes):
                        if perf_counter() >= turns.ends:
                            yield
                        if len(room.sinks) <= self._slice_size:
                            self._write_slice(room, list(room.sinks.values()), broadcast)
                        else:
                            yield from self._write_slices(room, broadcast)
                self._writing_size = 0
        finally:
            turns.end()

    def _reset_first(self) -> tuple[Room, Broadcast]:
        """Move the room that was admitted with a reset, and return what its members are told."""
        arrived = self._waiting[0]
        room, reset = arrived.room, arrived.reset
        if room is None or reset is None:
            raise ValueError("what arrived resets no room")
        self._waiting[0] = arrived._replace(reset=None)
        room.position = reset
        return room, Broadcast([encode_reset(room.name, reset)], [0])

    def _collect(self) -> dict[Room, list[tuple[bytes, int]]]:
        collected: dict[Room, list[tuple[bytes, int]]] = {}
        while self._waiting and self._waiting[0].reset is None:
            arrived = self._waiting.popleft()
            self._waiting_size -= arrived.size
            self._writing_size += arrived.size
            for publication in arrived.publications:
                room = arrived.room or self.rooms.get(publication.room)
                if room is None:
                    self.unwanted += 1
                elif self._is_next(room, publication) and room.sinks:
                    entry = (encode_push(publication), publication.offset)
                    collected.setdefault(room, []).append(entry)
            if arrived.again and arrived.room is not None:
                self._find_gap(arrived.room)
            if self._writing_size >= ROUND_BYTES:
                break
        return collected

    def _shed(self) -> None:
        """Drop all that waits; whoever keeps history asks for it again."""
        self.overflows += 1
        loss = loss_of(self._waiting, self.rooms)
        self.dropped += loss.dropped
        self.unwanted += loss.unwanted
        self._waiting.clear()
        self._waiting_size = 0
        self._held_size = 0
        for room in loss.behind:
            if room.held is not None:
                room.held.clear()
            self._find_gap(room)

    def _is_next(self, room: Room, publication: Publication) -> bool:
        """Tell whether a publication follows what was delivered; hold it back if it may later."""
        if room.held is not None:
            self._hold_back(room.held, publication)
            return False
        here = room.position
        if not publication.offset or here is None:
            return True
        if publication.epoch == here.epoch:
            if publication.offset == here.offset + 1:
                room.position = Position(publication.offset, here.epoch)
                return True
            if publication.offset <= here.offset:
                return False
        self._hold_back(self.hold(room), publication)
        self._on_gap(room)
        return False

    def _hold_back(self, held: list[Publication], publication: Publication) -> None:
        held.append(publication)
        self._held_size += len(publication.data)

    def _find_gap(self, room: Room) -> None:
        """Have what a room lacks asked for; after what it waits for now, if it does."""
        if self.rooms.get(room.name) is not room:
            return  # forgotten while this waited: nobody would end its registration
        if room.held is None:
            self.hold(room)
            self._on_gap(room)
        else:
            room.deaf = True

    def _write_slices(self, room: Room, broadcast: Broadcast) -> Generator[None, None, None]:
        sinks = room.sinks
        members = list(sinks)
        for start in range(0, len(members), self._slice_size):
            if start:
                yield
            # Whoever left since the last slice gets nothing more.
            present = [
                sinks[sink] for sink in members[start : start + self._slice_size] if sink in sinks
            ]
            self._write_slice(room, present, broadcast)

    def _write_slice(self, room: Room, writers: Sequence[Sink], broadcast: Broadcast) -> None:
        for writer, error in fan_out(writers, broadcast):
            self._remove(room, writer)
            logger.error(
                "A member of %s can't be written to and was removed", room.name, exc_info=error
            )
        self.delivered += len(writers) * len(broadcast.texts)

    def _remove(self, room: Room, writer: Sink) -> None:
        """Remove the member that is written to by `writer`. O(n), to keep writing cheap."""
        self.failed += 1
        for sink, its_writer in room.sinks.items():
            if its_writer is writer:
                del room.sinks[sink]
                return
