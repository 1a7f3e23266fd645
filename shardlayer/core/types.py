"""The values that the parts hand each other.

What is made for every publication is a named tuple, which costs a third of a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, NewType, Protocol

if TYPE_CHECKING:
    from shardlayer.core.compression import Compression
    from shardlayer.core.frames import Broadcast

NodeId = NewType("NodeId", str)
"""Names one event loop with members, in one process; without `!`, at most 32 characters."""


class Position(NamedTuple):
    """A place in a room's history.

    Attributes:
        offset: The number of the room's last publication; the first has 1, 0 means none yet.
        epoch: Names one count of the room's offsets. Offsets of two epochs can't be compared.
    """

    offset: int
    epoch: str


as_position: Callable[[tuple[int, str]], Position] = partial(tuple.__new__, Position)
"""Makes one for each publication: without the function that calling the class goes through."""

BEGINNING = Position(offset=0, epoch="")
"""Before everything that a room still holds, in whichever epoch: "send me all there is"."""


class Mark(NamedTuple):
    """Where a publication comes from: its place in a log that may be read again.

    Attributes:
        source: Names the log, such as `events/0` for a partition of Kafka.
        offset: The record's number in it, from 0.
        index: The publication's number among those of the record, from 0.
    """

    source: str
    offset: int
    index: int = 0  # type: ignore[assignment]  # hides tuple.index, which no mark needs


class Publication(NamedTuple):
    """One message to a room.

    Attributes:
        room: The room's name.
        data: JSON text in UTF-8, as the publisher marshalled it.
        offset: Its number in the room's history; 0 in a room that keeps none.
        epoch: The epoch of that number; empty in a room that keeps no history.
        exclude: The client that does not get it (see client_names.py); empty for none.
        time: When it was published, in Unix seconds by the clock of the room's server, to a tenth.
            Known of what `history` reads; None of what is delivered.
        mark: Where it came from, such as a record of Kafka; None if it has no source. Known of what
            `history` reads, too.
    """

    room: str
    data: bytes
    offset: int = 0
    epoch: str = ""
    exclude: str = ""
    time: float | None = None
    mark: Mark | None = None


class HistoryPage(NamedTuple):
    """A part of a room's history.

    Attributes:
        position: Where the room is; offset 0 and an empty epoch if nothing was published yet.
        publications: The newest of those asked for, oldest first.
        more: Whether older ones are held.
    """

    position: Position
    publications: list[Publication]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPolicy:
    """How much a room remembers.

    Attributes:
        size: Publications kept, at least (Redis trims in whole nodes of its stream).
        ttl: Seconds after the last publication until the history goes.
        latest: Whether the newest publication is kept as long as the room's offset, `meta_ttl`, and
            told to each new member.
    """

    size: int
    ttl: float
    latest: bool = False

    @property
    def keeps(self) -> bool:
        """Whether there is a history at all."""
        return self.size > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CalmPolicy:
    """How often the members of a room are written to.

    Attributes:
        max_rate: Writes a second, at most.
        conflate: A member of the data, which are objects: of publications that have the same value
            there, only the newest of each interval is written. Empty: all are.
    """

    max_rate: float
    conflate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomInfo:
    """A room as Redis shows it.

    Attributes:
        room: The room's name.
        shard: Its shard's number, from 0.
        nodes: Members per node, as each node last reported them (some seconds old).
        offset: The offset of the last publication; 0 where no history is kept.
        epoch: The epoch of that offset, or empty.
        history_length: Publications that the history holds now.
    """

    room: str
    shard: int
    nodes: dict[str, int]
    offset: int
    epoch: str
    history_length: int

    @property
    def members(self) -> int:
        """Members on all nodes."""
        return sum(self.nodes.values())


class RoomSummary(NamedTuple):
    """A room among many: how many are in it, and where it stands.

    Attributes:
        room: The room's name.
        shard: Its shard's number, from 0.
        members: Connections on nodes that are alive, as each last reported them (some seconds old).
        nodes: How many nodes these are on.
        people: People, where the room has presence; else 0.
        offset: The offset of the last publication; 0 where no history is kept.
        epoch: The epoch of that offset, or empty.
        idle: Seconds since the last publication; None without a history, or once that is gone.
    """

    room: str
    shard: int
    members: int
    nodes: int
    people: int
    offset: int
    epoch: str
    idle: float | None


class Worker(Protocol):
    """What our own server tells an application about itself.

    It is in the scope of a request and of the lifespan:
    `scope["extensions"]["shardlayer"]["worker"]`.

    Attributes:
        is_draining: Whether it has begun to stop.
        held: Connections that it holds now.
        capacity: Connections that it may hold; 0 is no limit.
        is_full: Whether it holds as many.
        is_joined: Whether its balancer has it, or had it a moment ago; True if it needs none.
    """

    @property
    def is_draining(self) -> bool: ...

    @property
    def held(self) -> int: ...

    @property
    def capacity(self) -> int: ...

    @property
    def is_full(self) -> bool: ...

    @property
    def is_joined(self) -> bool: ...

    def drain(self) -> None:
        """Begin to stop as on SIGTERM, unless it has begun. Its supervisor starts it again.

        The application must not let a client cause this call.
        """

    def warn_of_blocking(self) -> None:
        """Log where the event loop is blocked, from now on; for development."""


class Sink(Protocol):
    """Where a broadcast for one client is written.

    A sink is hashed and compared by identity. Both methods are synchronous: the hub calls them
    in a loop over all members of a room.
    """

    def write(self, broadcast: Broadcast) -> None:
        """Write the broadcast now or queue it, after all that was written before.

        Never waits for the client, and does nothing once the client is gone. Raising means
        "remove me": the hub drops the sink from the room and goes on with the other members.
        """

    def close(self, code: int, reason: str = "") -> None:
        """Close the client's connection with a WebSocket close code. Idempotent."""


class FrameSink(Sink, Protocol):
    """A sink that also exposes the one call that a write needs.

    A caller with frames for many sinks can make this call for all of them, without Python in
    between. Before anything else happens, it must then call `settle` for each sink whose call did
    not take everything.

    Attributes:
        send_frames: Sends as much as can be sent now of whole text frames and returns how many
            bytes that was, or raises. It is replaced when the sink's state changes: fetch it for
            each write.
        compression: How broadcasts to it are compressed, if its client has agreed to that. Then
            it may be sent `Broadcast.compressed` as well. None: plain frames only. Never changes.
    """

    send_frames: Callable[[bytes], int]

    @property
    def compression(self) -> Compression | None: ...

    def settle(self, frames: bytes, sent: int, error: Exception | None) -> None:
        """Take over what a call of `send_frames` did not send, and its error if it raised.

        Raising means "remove me", as it does in `write`.
        """
