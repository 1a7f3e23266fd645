"""What goes to a broker and comes back: the values of its contract, the same for every broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from shardlayer.core import wire
from shardlayer.core.client_names import parted
from shardlayer.core.exceptions import WireError
from shardlayer.core.types import HistoryPolicy, Mark, NodeId, Position, Publication

WRITER_TTL = 300.0  # seconds that a publisher's last batch is remembered
RECOVERY_LIMIT = 1_000  # publications that one join or history call answers, at most
PAGE_BYTES = 262_144  # bytes of publications that it answers, at most; one larger goes alone
PAGE_OVERHEAD = 20  # bytes that a publication counts for beside its body

EVERYBODY = "*"
"""The `group` of what all nodes are told. No room can have this name."""


class Outgoing(NamedTuple):
    """One publication on its way to a shard.

    Attributes:
        shard: Its group's shard.
        group: The room or group.
        body: What `wire.pack_body` made of it.
        policy: What its group remembers.
        mark: Where it comes from, if a reader that goes on from there may publish it again.
        idempotency_key: Names it for an application that may publish it again; empty for none.
        for_all: Whether all nodes are told; it then belongs to no room, and `group` is EVERYBODY.
        preface: An entry (see wire.py) that nodes are told right before this one, and that no
            history keeps; empty for none.
        since: When it began its way, in seconds since 1970, if that was before it was published:
            at Kafka, say. 0 if not.
    """

    shard: int
    group: str
    body: bytes
    policy: HistoryPolicy
    mark: Mark | None = None
    idempotency_key: str = ""
    for_all: bool = False
    preface: bytes = b""
    since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one call of the publish script carries.

    Attributes:
        writer: Names the publisher; its batches to one bundle of shards are numbered.
        number: The batch's number. Repeated only to repeat the batch.
        items: The publications, in order, to shards of one bundle (see `Broker.bundle_of`).
        epoch: An epoch for groups that have none yet: 8 ASCII characters.
        since: When the oldest of the publications began its way, in seconds since 1970; 0 if
            unknown. Nodes are told, for the figures.
    """

    writer: str
    number: int
    items: Sequence[Outgoing]
    epoch: str
    since: float = 0.0


class Published(NamedTuple):
    """What became of a batch.

    Attributes:
        positions: For each publication where it stands in its room; None without history, and
            where the publication's mark says that it was published before.
        channels: The normal channels that are members, by group; the publisher sends to them.
        targeted: Publications that just the interested nodes were told of.
        fallback: Publications that all nodes were told of since the registry can't be trusted.
        repeated: Publications that had been published before.
        messages: Pub/sub messages that it took.
        mended: Rooms whose history could not go on and began anew, under a new epoch.
        failed: Publications that failed, by index, and what the server said. The others did not.
    """

    positions: list[Position | None]
    channels: dict[str, list[str]]
    targeted: int
    fallback: int
    repeated: int
    messages: int
    mended: Sequence[str] = ()
    failed: Mapping[int, str] = MappingProxyType({})


class Page(NamedTuple):
    """How much of a history one answer may have.

    Attributes:
        max_bytes: Bytes of publications, at most.
        least: How many publications it has however large they are, if there are any: 0 or 1.
    """

    max_bytes: int = PAGE_BYTES
    least: int = 1


PAGE = Page()


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """A node's wish to hear a group.

    Attributes:
        node: The node.
        group: The group.
        members: How many members the node has.
        keeps: Whether the group keeps history.
        since: After which position to answer what was published; None: nothing is answered.
        epoch: An epoch for the group if it has none yet.
        returns: Whether the node is in the group already, and `since` is where its members are.
        page: How much to answer.
        latest: Whether the group's newest publication is kept, and answered.
    """

    node: NodeId
    group: str
    members: int
    keeps: bool
    since: Position | None
    epoch: str
    returns: bool = False
    page: Page = PAGE
    latest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinReply:
    """The answer to a node that joined a group.

    Attributes:
        leased: Whether the node's lease still ran. If not, its other groups may be forgotten.
        position: The group's last offset; None if it keeps no history.
        start: The offset after which the answer begins: that of the position asked for, or if
            something is missing there, the one before the oldest publication that is kept.
        recovered: Whether nothing is missing between the position asked for and `start`.
        publications: What comes after `start`, in order: a page, of at most `RECOVERY_LIMIT`
            publications and of `max_bytes`. To get the next page, ask again with its end.
        mended: Whether the history held what the layer never puts there, and was removed.
        newest: The group's newest publication, whether the history still holds it or not, if that
            was asked for and there is one.
    """

    leased: bool
    position: Position | None
    recovered: bool
    publications: list[Publication]
    start: int = 0
    mended: bool = False
    newest: Publication | None = None

    @property
    def reached(self) -> Position | None:
        """Where the page ends: at `position`, unless there is more."""
        if self.position is None:
            return None
        last = self.publications[-1].offset if self.publications else self.start
        return Position(offset=last, epoch=self.position.epoch)


class Queued(NamedTuple):
    """A message taken from a channel's queue.

    Attributes:
        message: The message.
        expires: When it expires, in ms of the backend's clock.
    """

    message: bytes
    expires: int


class Census(NamedTuple):
    """Who was asked for a group's members.

    Attributes:
        nodes: The nodes in the group that heard the question.
        channels: The normal channels that are members.
    """

    nodes: list[NodeId]
    channels: list[str]


CENSUS_TTL = 10.0  # seconds that answers of nodes are kept


class Order(NamedTuple):
    """What a node is told of one of its channels in a group.

    Attributes:
        number: By which the node says that it has taken it; grows from one order of a node and
            shard to the next. 0 for one that is not kept.
        group: The group.
        channel: The channel, of that node.
        add: Whether it is added; else it is discarded.
    """

    number: int
    group: str
    channel: str
    add: bool


ORDERS_KEPT = 1_000  # orders that are kept for a node and shard, at most


def order_of(body: bytes, number: int) -> Order | None:
    """Return the order that an entry's body holds; None if it holds none."""
    try:
        entry = wire.unpack_body(body, offset=number, epoch="")
    except WireError:
        return None
    if entry.kind not in (wire.Kind.ADD, wire.Kind.DISCARD) or not entry.payload.isascii():
        return None
    return Order(number, entry.name, entry.payload.decode(), entry.kind == wire.Kind.ADD)


def newest(group: str, entry: bytes) -> Publication:
    """Return the publication that an entry of the packed batch holds."""
    ((offset, epoch),) = wire.unpack_heads(entry[: wire.HEAD_LENGTH])
    return publication(group, offset, entry[wire.HEAD_LENGTH :], epoch)


def publication(
    group: str,
    offset: int,
    body: bytes,
    epoch: str,
    origin: tuple[float | None, Mark | None] = (None, None),
) -> Publication:
    """Return the publication that a body from a group's history holds.

    One that can't be pushed keeps its place, and is `wire.UNREADABLE`. `origin` is when it was
    published and the mark that it had, as far as that is known.
    """
    entry = wire.unpack_body(body, offset=offset, epoch=epoch)
    data = entry.payload if wire.may_be_json(entry.payload) else wire.UNREADABLE
    return Publication(group, data, offset, epoch, parted(entry.name)[1], *origin)
