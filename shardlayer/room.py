"""One group in one node: who is in it, and where those that are new in it stand.

A member starts behind a `Gate`: pushes may arrive before the caller has written its reply, and wait
until it has. What the reply brought the member already does not come again.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple, Protocol

from shardlayer.frames import Broadcast
from shardlayer.types import Position, Publication, Sink


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
        deaf: Whether something for it was missed since it began to enter, so that it must again.
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

    The reply may have come from Redis, which may be ahead of the room: by publications, or by a
    whole epoch, which the room will then come to by a reset. The member knows of it already.
    """

    __slots__ = ("_floor", "_held", "_room", "_sink")

    def __init__(self, room: Room, sink: Sink) -> None:
        self._room = room
        self._sink = sink
        self._held: list[tuple[Broadcast, Position | None]] | None = []
        self._floor: Position | None = None

    def write(self, broadcast: Broadcast) -> None:
        # A round of the hub has one epoch, which the room is in while it is written.
        if self._held is not None:
            self._held.append((broadcast, self._room.position))
        else:
            self._pass(broadcast, self._room.position)

    def open(self, floor: Position | None) -> None:
        """Write what waited beyond `floor`, at which the member now is, and stay open."""
        held, self._held = self._held or [], None
        self._floor = floor
        for broadcast, here in held:
            self._pass(broadcast, here)

    def close(self, code: int, reason: str = "") -> None:
        self._sink.close(code, reason)

    def _pass(self, broadcast: Broadcast, here: Position | None) -> None:
        rest = self._news(broadcast, here)
        if rest is not None:
            self._sink.write(rest)
            self._floor = None
            if self._room.sinks.get(self._sink) is self:  # only now: who fails is removed as a gate
                self._room.sinks[self._sink] = self._sink

    def _news(self, broadcast: Broadcast, here: Position | None) -> Broadcast | None:
        """Return what of a broadcast the member does not have, given where the room is."""
        floor = self._floor
        if floor is None or here is None:
            return broadcast
        is_reset = 0 in broadcast.offsets
        if here.epoch != floor.epoch:
            return broadcast if is_reset else None  # else from before the epoch that it knows of
        if is_reset:
            return broadcast if here.offset > floor.offset else None
        return broadcast.after(floor.offset)
