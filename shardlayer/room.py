"""One group in one node: who is in it, and where its members are."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple, Protocol

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
