"""Who in this node is a member of what, and how a publication reaches them.

A hub holds the rooms of one shard. Publications are fed to it as they arrive and delivered by one
task per hub, so that a busy shard holds up no other. When the task runs it takes all that waits:
what is for one room is framed and joined once, and every member gets one write. A large room is
written in slices, between which the event loop gets its turn; the order stays, because the next
delivery starts after the last slice.

A room that keeps history knows its position, the last offset that its members were written. A
publication at or below it is a repeat and is dropped. One that leaves a gap, or comes from another
epoch, is held back with all that follows, and the room is reported to `on_gap`: the node asks
Redis for what is missing and `admit`s it, which also ends a room's first join.

A member starts behind a `Gate`: pushes wait until the caller has written its reply.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from shardlayer.frames import Broadcast
from shardlayer.pushes import encode_push, encode_reset
from shardlayer.types import Position, Publication, Sink

logger = logging.getLogger("shardlayer.hub")


class Channel(Protocol):
    """A group member that takes Channels messages: a mailbox of the layer."""

    def deliver(self, message: bytes) -> bool:
        """Append a serialized message; False if the channel is full."""


class Membership(NamedTuple):
    """A channel in a group, and until when, in the loop's time."""

    channel: Channel
    ends: float


class Room:
    """A group with members in this node.

    Attributes:
        name: The group's name.
        sinks: Each member and where it is written: its gate at first, then itself.
        channels: The members that are Channels channels, by their names.
        position: Where the room's members are; None if it keeps no history.
        held: Publications that wait until the room is (again) contiguous; None if it is.
        deaf: Whether its shard could not be heard since it began to enter, so that it must again.
        entered: Whether the room was ever registered, so that `position` can be told.
        entering: The task that registers the room (again), while it runs.
    """

    __slots__ = ("channels", "deaf", "entered", "entering", "held", "name", "position", "sinks")

    def __init__(self, name: str) -> None:
        self.name = name
        self.sinks: dict[Sink, Sink] = {}
        self.channels: dict[str, Membership] = {}
        self.position: Position | None = None
        self.held: list[Publication] | None = []
        self.deaf = False
        self.entered = False
        self.entering: asyncio.Task[Any] | None = None

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self.sinks) + len(self.channels)


class Gate:
    """Stands before a new member's sink until its reply was written.

    Pushes wait behind a closed gate. Once opened at a position it lets through what comes after
    it, and takes itself out of the room with the first broadcast that does.
    """

    __slots__ = ("_floor", "_held", "_room", "_sink")

    def __init__(self, room: Room, sink: Sink) -> None:
        self._room = room
        self._sink = sink
        self._held: list[Broadcast] | None = []
        self._floor = 0

    def write(self, broadcast: Broadcast) -> None:
        if self._held is not None:
            self._held.append(broadcast)
            return
        rest = broadcast.after(self._floor)
        if rest is not None:
            self._sink.write(rest)
            if self._room.sinks.get(self._sink) is self:  # only now: who fails is removed as a gate
                self._room.sinks[self._sink] = self._sink

    def open(self, floor: Position | None) -> None:
        """Write what waited beyond `floor`, at which the member now is, and stay open."""
        held, self._held = self._held or [], None
        self._floor = floor.offset if floor else 0
        for broadcast in held:
            self.write(broadcast)
            if 0 in broadcast.offsets:  # a reset: what follows counts anew
                self._floor = 0

    def close(self, code: int, reason: str = "") -> None:
        self._sink.close(code, reason)


class _Arrived(NamedTuple):
    """Publications that wait for delivery: for any rooms, or for one that was just admitted."""

    publications: Sequence[Publication]
    room: Room | None = None
    reset: Position | None = None  # tell the members first that they are here now


class Hub:
    """The rooms of one shard in one node.

    Not thread-safe: everything happens on the node's event loop.

    Args:
        slice_size: Members that are written to before the event loop gets a turn.
        write_bytes: Bytes joined into one write, at most; one larger message goes alone.
        on_gap: Called with a room that has just been found not to be contiguous.

    Attributes:
        delivered: Messages written to members.
        unwanted: Publications that came for a group without members.
        failed: Members removed because writing to them raised.
    """

    def __init__(
        self, *, slice_size: int, write_bytes: int, on_gap: Callable[[Room], None]
    ) -> None:
        self.rooms: dict[str, Room] = {}
        self.delivered = 0
        self.unwanted = 0
        self.failed = 0
        self._slice_size = slice_size
        self._write_bytes = write_bytes
        self._on_gap = on_gap
        self._waiting: deque[_Arrived] = deque()

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

    def feed(self, publications: Sequence[Publication]) -> None:
        """Take publications that arrived, in order. `deliver` hands them to the members."""
        self._waiting.append(_Arrived(publications))

    def hold(self, room: Room) -> None:
        """Hold a room's publications back until it is admitted."""
        if room.held is None:
            room.held = []

    def admit(
        self,
        room: Room,
        position: Position | None,
        publications: Sequence[Publication] = (),
        *,
        contiguous: bool = True,
    ) -> None:
        """Let a held room go on at `position`, after `publications` that its members missed.

        `contiguous` is False where the members may have missed more than that: they are told.
        """
        held, room.held = room.held or [], None
        room.entered = True
        if position is None:
            self._waiting.appendleft(_Arrived(held, room))
            return
        start = publications[0].offset - 1 if publications else position.offset
        floor = Position(offset=start, epoch=position.epoch)
        reset = None
        if room.position is None:
            room.position = floor
        elif not contiguous or room.position.epoch != position.epoch:
            reset = floor
        # What another epoch counted is history that nobody can place any more.
        current = [publication for publication in held if publication.epoch == position.epoch]
        self._waiting.appendleft(_Arrived([*publications, *current], room, reset))

    async def deliver(self) -> None:
        """Write all that waits to the members, and what comes meanwhile. One call at a time."""
        while self._waiting:
            for room, texts in self._collect().items():
                for broadcast in self._join_texts(texts):
                    await self._write(room, broadcast)

    def _collect(self) -> dict[Room, list[tuple[bytes, int]]]:
        collected: dict[Room, list[tuple[bytes, int]]] = {}
        while self._waiting:
            arrived = self._waiting.popleft()
            if arrived.room is not None and arrived.reset is not None:
                arrived.room.position = arrived.reset
                reset = (encode_reset(arrived.room.name, arrived.reset), 0)
                collected.setdefault(arrived.room, []).append(reset)
            for publication in arrived.publications:
                room = arrived.room or self.rooms.get(publication.room)
                if room is None:
                    self.unwanted += 1
                elif self._is_next(room, publication) and room.sinks:
                    entry = (encode_push(publication), publication.offset)
                    collected.setdefault(room, []).append(entry)
        return collected

    def _is_next(self, room: Room, publication: Publication) -> bool:
        """Tell whether a publication follows what was delivered; hold it back if it may later."""
        if room.held is not None:
            room.held.append(publication)
            return False
        here = room.position
        if not publication.offset or here is None:
            return True
        if publication.epoch == here.epoch:
            if publication.offset == here.offset + 1:
                room.position = Position(offset=publication.offset, epoch=here.epoch)
                return True
            if publication.offset <= here.offset:
                return False
        room.held = [publication]
        self._on_gap(room)
        return False

    def _join_texts(self, entries: list[tuple[bytes, int]]) -> Iterable[Broadcast]:
        texts: list[bytes] = []
        offsets: list[int] = []
        size = 0
        for text, offset in entries:
            if texts and size + len(text) > self._write_bytes:
                yield Broadcast(texts, offsets)
                texts, offsets, size = [], [], 0
            texts.append(text)
            offsets.append(offset)
            size += len(text)
        yield Broadcast(texts, offsets)

    async def _write(self, room: Room, broadcast: Broadcast) -> None:
        sinks = room.sinks
        if len(sinks) <= self._slice_size:
            self._write_slice(room, list(sinks.values()), broadcast)
            return
        members = list(sinks)
        for start in range(0, len(members), self._slice_size):
            if start:
                await asyncio.sleep(0)
            # Whoever left since the last slice gets nothing more.
            present = [
                sinks[sink] for sink in members[start : start + self._slice_size] if sink in sinks
            ]
            self._write_slice(room, present, broadcast)

    def _write_slice(self, room: Room, writers: Sequence[Sink], broadcast: Broadcast) -> None:
        for writer in writers:
            try:
                writer.write(broadcast)
            except Exception:
                self._remove(room, writer)
                logger.exception("A member of %s can't be written to and was removed", room.name)
        self.delivered += len(writers) * len(broadcast.texts)

    def _remove(self, room: Room, writer: Sink) -> None:
        """Remove the member that is written to by `writer`. O(n), to keep writing cheap."""
        self.failed += 1
        for sink, its_writer in room.sinks.items():
            if its_writer is writer:
                del room.sinks[sink]
                return
