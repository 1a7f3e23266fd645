"""Calls of the scripts: values in, KEYS and ARGV out; replies in, values out. No I/O.

The layouts are documented at the head of each script.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from shardlayer.broker.redis.keys import CHANNEL_MARK, ShardKeys
from shardlayer.broker.redis.scripts import Script, script
from shardlayer.broker.values import (
    CENSUS_TTL,
    ORDERS_KEPT,
    RECOVERY_LIMIT,
    Census,
    JoinReply,
    JoinRequest,
    Order,
    Queued,
    newest,
    order_of,
    publication,
)
from shardlayer.core import wire
from shardlayer.core.types import HistoryPage, Mark, NodeId, Position

OFFSET_DIGITS = 16  # of the largest offset; Lua counts in doubles
EXPIRES_BYTES = 8  # of a queue's element, before the message
TIMES_BEGIN = 2_000_000_000  # Unix seconds; what an entry of a history says are tenths since then

_TIME = re.compile(rb"-?[0-9]{1,11}")
_PLACE = re.compile(rb"([0-9]{1,19})(?: ([0-9]{1,19}))?")

Argument = str | bytes | int


class Call(NamedTuple):
    """One call of a script."""

    script: Script
    keys: list[str]
    args: list[Argument]


def join(
    keys: ShardKeys,
    request: JoinRequest,
    *,
    lease_ttl: float,
    meta_ttl: float,
    meta_ttl_per_publication: float,
    epoch_ttl: float,
) -> Call:
    """Return the call that registers a node for a group. TTLs in seconds.

    `epoch_ttl` is how long the group's epoch is kept while nothing was published to it.
    """
    since = request.since
    return Call(
        script("join"),
        [
            keys.alive,
            keys.born,
            keys.nodes(request.group),
            keys.meta(request.group),
            keys.history(request.group),
            keys.life,
            *([keys.latest(request.group)] if request.latest else []),
        ],
        [
            request.node,
            milliseconds(lease_ttl),
            request.members,
            int(request.keeps),
            request.epoch,
            milliseconds(meta_ttl),
            int(since is not None),
            since.offset if since else 0,
            since.epoch if since else "",
            RECOVERY_LIMIT,
            int(request.returns),
            milliseconds(epoch_ttl),
            request.page.max_bytes,
            request.page.least,
            milliseconds(meta_ttl_per_publication),
        ],
    )


def read_joined(group: str, reply: Sequence[Any]) -> JoinReply:
    """Return what the join script answered."""
    leased, epoch_bytes, offset, recovered, start, latest = reply[:6]
    epoch = text(epoch_bytes)
    return JoinReply(
        leased=bool(leased),
        position=Position(offset=offset, epoch=epoch) if epoch else None,
        recovered=recovered == 1,
        mended=recovered < 0,
        publications=[
            publication(group, reply[at], reply[at + 1], epoch) for at in range(6, len(reply), 2)
        ],
        start=start,
        newest=newest(group, latest) if latest else None,
    )


def history(keys: ShardKeys, group: str, *, limit: int, before: int, max_bytes: int) -> Call:
    """Return the call that reads a page of a group's history, the newest first."""
    return Call(
        script("history"),
        [keys.meta(group), keys.history(group)],
        [limit, before, max_bytes],
    )


def read_page(group: str, reply: Sequence[Any]) -> HistoryPage:
    """Return what the history script answered."""
    offset, epoch_bytes, more = reply[:3]
    epoch = text(epoch_bytes)
    found = [
        publication(group, reply[at], reply[at + 1], epoch, read_origin(*reply[at + 2 : at + 5]))
        for at in range(3, len(reply), 5)
    ]
    return HistoryPage(Position(offset=offset, epoch=epoch), found[::-1], bool(more))


def positions(keys: ShardKeys, epoch_ttls: Mapping[str, float]) -> Call:
    """Return the call that asks where groups stand, given for each its `epoch_ttl` (see `join`)."""
    return Call(
        script("positions"),
        [keys.meta(group) for group in epoch_ttls],
        [milliseconds(ttl) for ttl in epoch_ttls.values()],
    )


def read_positions(reply: Sequence[Any]) -> list[Position | None]:
    """Return what the positions script answered; None for a group without an epoch."""
    return [
        Position(offset=offset, epoch=text(epoch)) if epoch else None
        for offset, epoch in zip(reply[::2], reply[1::2], strict=True)
    ]


def read_meta(value: bytes | None) -> Position:
    """Return where a group stands by its `meta`; offset 0 and an empty epoch if there is none."""
    offset, _, rest = (value or b"").partition(b" ")
    if len(offset) > OFFSET_DIGITS or not offset.isdigit():
        return Position(offset=0, epoch="")  # the next publication begins an epoch
    return Position(offset=int(offset), epoch=text(rest.partition(b" ")[0]))


def read_mark(source: str, value: bytes | None) -> Mark | None:
    """Return what a field of `marks` says; None if there is none, or it says nothing."""
    try:
        offset, index = (value or b"").split(b" ")
        return Mark(source, int(offset), int(index))
    except ValueError:
        return None


def read_origin(time: bytes, source: bytes, place: bytes) -> tuple[float | None, Mark | None]:
    """Return when an entry of a history was published, and where it came from, as it says itself.

    None for what it does not say, or says in a way in which the layer never writes it.
    """
    found = _TIME.fullmatch(time)
    at = None if found is None else TIMES_BEGIN + int(time) / 10
    numbers = _PLACE.fullmatch(place)
    if numbers is None:
        return at, None
    return at, Mark(source.decode("utf-8", "replace"), int(numbers[1]), int(numbers[2] or 0))


def prune(keys: ShardKeys, groups: Sequence[str]) -> Call:
    """Return the call that forgets what is gone from groups."""
    return Call(script("prune"), [keys.alive, *(keys.nodes(group) for group in groups)], [])


def clear(keys: ShardKeys, group: str) -> Call:
    """Return the call that forgets what was published to a group."""
    return Call(
        script("clear"),
        [keys.meta(group), keys.history(group), keys.latest(group)],
        [keys.all_nodes, wire.VERSION_BYTE, wire.pack_head(wire.Kind.CLEARED, group)],
    )


def renew(keys: ShardKeys, node: NodeId, *, lease_ttl: float) -> Call:
    """Return the call that renews a node's lease on the shard."""
    return Call(script("renew"), [keys.alive, keys.born], [node, milliseconds(lease_ttl)])


def send(
    keys: ShardKeys, channel: str, message: bytes, *, capacity: int, expiry: float, reader: str
) -> Call:
    """Return the call that appends to a channel's queue; `reader` is "" for a normal channel."""
    wake_up = wire.pack_order(wire.Kind.WAKE_UP, channel)
    return Call(
        script("send"),
        [keys.queue(channel), keys.waiting(channel), keys.held(channel)],
        [capacity, milliseconds(expiry), message, keys.inbox_prefix, wake_up, reader],
    )


def enroll(
    keys: ShardKeys, group: str, channel: str, *, node: str, add: bool, kept_for: float
) -> Call:
    """Return the call that tells a node to add its channel to a group, or to discard it.

    What it is told is kept for so many seconds, unless it has taken it before.
    """
    kind = wire.Kind.ADD if add else wire.Kind.DISCARD
    body = wire.pack_body(kind, group, channel.encode())
    return Call(
        script("enroll"),
        [keys.alive, keys.nodes(group), keys.orders(node)],
        [
            node,
            keys.inbox_prefix,
            wire.VERSION_BYTE,
            body,
            int(add),
            milliseconds(kept_for),
            ORDERS_KEPT,
        ],
    )


def read_orders(reply: Sequence[Any]) -> list[Order]:
    """Return what a node's `orders` hold, with their numbers."""
    return [
        order
        for body, number in zip(reply[::2], reply[1::2], strict=True)
        if (order := order_of(body, int(float(number)))) is not None
    ]


def attach(keys: ShardKeys, group: str, channel: str, *, expiry: float) -> Call:
    """Return the call that makes a normal channel a member of a group, for `expiry` seconds."""
    return Call(
        script("attach"), [keys.nodes(group)], [CHANNEL_MARK + channel, milliseconds(expiry)]
    )


def census(keys: ShardKeys, group: str, question: bytes) -> Call:
    """Return the call that asks the nodes of a group for its channels."""
    order = wire.pack_order(wire.Kind.CENSUS, group, question)
    return Call(script("census"), [keys.alive, keys.nodes(group)], [keys.inbox_prefix, order])


def census_answer(keys: ShardKeys, question: bytes, node: NodeId, answer: bytes) -> Call:
    """Return the call that keeps a node's answer to such a question."""
    key = keys.census(question.decode())
    return Call(script("answer"), [key], [node, answer, milliseconds(CENSUS_TTL)])


def read_census(reply: Sequence[Any]) -> Census:
    """Return what the census script answered."""
    count, *names = reply
    return Census(
        [NodeId(text(name)) for name in names[:count]], [text(name) for name in names[count:]]
    )


def receive(keys: ShardKeys, channel: str, *, reader: str, waits: float) -> Call:
    """Return the call that takes a channel's oldest message; `reader` is "" for its own node.

    Without a message the reader is remembered for `waits` seconds as one that waits.
    """
    return Call(
        script("receive"),
        [keys.queue(channel), keys.waiting(channel)],
        [reader, milliseconds(waits)],
    )


def await_messages(keys: ShardKeys, channels: Sequence[str], *, reader: str, waits: float) -> Call:
    """Return the call that says how many messages wait in channels' queues.

    Where there is none the reader is remembered for `waits` seconds more as one that waits.
    """
    pairs = ((keys.queue(channel), keys.waiting(channel)) for channel in channels)
    return Call(script("await"), [*chain.from_iterable(pairs)], [reader, milliseconds(waits)])


def rouse(keys: ShardKeys, channel: str) -> Call:
    """Return the call that wakes the next receiver that waits for a channel, if a message waits."""
    return Call(
        script("rouse"),
        [keys.queue(channel), keys.waiting(channel)],
        [keys.inbox_prefix, wire.pack_order(wire.Kind.WAKE_UP, channel)],
    )


def read_received(element: bytes | None) -> Queued | None:
    """Return what the receive script answered."""
    if element is None:
        return None
    return Queued(element[EXPIRES_BYTES:], int.from_bytes(element[:EXPIRES_BYTES], "big"))


def restore(keys: ShardKeys, channel: str, queued: Queued) -> Call:
    """Return the call that puts a message back at the head of a normal channel's queue."""
    element = queued.expires.to_bytes(EXPIRES_BYTES, "big") + queued.message
    return Call(
        script("restore"),
        [keys.queue(channel), keys.waiting(channel)],
        [element, keys.inbox_prefix, wire.pack_order(wire.Kind.WAKE_UP, channel)],
    )


@lru_cache(maxsize=1_024)  # most are an option's, asked for with each call
def milliseconds(seconds: float) -> int:
    """Return whole milliseconds, at least 1 for what is above 0: Redis refuses a TTL of 0."""
    return max(round(seconds * 1_000), 1) if seconds > 0 else 0


def text(value: bytes | str) -> str:
    """Return a reply of Redis as text."""
    return value if isinstance(value, str) else value.decode()
