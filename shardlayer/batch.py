"""The call that publishes: values in, KEYS and ARGV out; a reply in, values out. No I/O.

The layout is documented at the head of scripts/publish.lua.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from shardlayer import wire
from shardlayer.commands import Argument, Call, milliseconds, text
from shardlayer.exceptions import WireError
from shardlayer.keys import ShardKeys
from shardlayer.scripts import script
from shardlayer.types import HistoryPolicy, Mark, Position

WRITER_TTL = 300.0  # seconds that a publisher's last batch is remembered

_FOR_ALL_NODES = -1  # in place of a history's size


class Outgoing(NamedTuple):
    """One publication on its way to a shard.

    Attributes:
        group: The room or group.
        body: What `wire.pack_body` made of it.
        policy: What its group remembers.
        mark: Where it comes from, if it may be published again by who reads on from there.
        idempotency_key: Names it for an application that may publish it again; empty for none.
        for_all: Whether all nodes are told; it then belongs to no room, and `group` is EVERYBODY.
    """

    group: str
    body: bytes
    policy: HistoryPolicy
    mark: Mark | None = None
    idempotency_key: str = ""
    for_all: bool = False

    @property
    def size(self) -> int:
        """Bytes that it takes in a batch."""
        return len(self.body) + wire.ENTRY_OVERHEAD


EVERYBODY = "*"
"""The `group` of what all nodes are told. No room can have this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one call of the publish script carries.

    Attributes:
        writer: Names the publisher; its batches on one shard are numbered.
        number: The batch's number. Repeated only to repeat the batch.
        items: The publications, in order.
        epoch: An epoch for groups that have none yet: 8 ASCII characters.
    """

    writer: str
    number: int
    items: Sequence[Outgoing]
    epoch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What became of a batch.

    Attributes:
        positions: For each publication where it stands in its room; None without history, and
            where the publication's mark says that it was published before.
        channels: The normal channels that are members, by group; the publisher sends to them.
        targeted: Publications that just the interested nodes were told of.
        fallback: Publications that all nodes were told of since the registry can't be trusted.
        repeated: Publications that had been published before.
        messages: Pub/sub messages that it took.
    """

    positions: list[Position | None]
    channels: dict[str, list[str]]
    targeted: int
    fallback: int
    repeated: int
    messages: int


def publish(
    keys: ShardKeys, batch: Batch, *, lease_ttl: float, meta_ttl: float, idempotency_ttl: float
) -> Call:
    """Return the call that publishes a batch. TTLs in seconds."""
    groups: dict[str, int] = {}
    group_keys: list[str] = []
    group_args: list[Argument] = []
    sources: dict[str, int] = {}
    known_keys: dict[str, int] = {}
    item_args: list[Argument] = []
    is_plain = all(item.mark is None and not item.idempotency_key for item in batch.items)
    for item in batch.items:
        number = groups.get(item.group)
        if number is None:
            number = groups[item.group] = len(groups) + 1
            group_keys += (keys.nodes(item.group), keys.meta(item.group), keys.history(item.group))
            size = _FOR_ALL_NODES if item.for_all else item.policy.size
            group_args += (size, milliseconds(item.policy.ttl))
        item_args += (number, item.body)
        if is_plain:
            continue
        if item.mark is None:
            item_args += (0, 0, 0)
        else:
            source = sources.setdefault(item.mark.source, len(sources) + 1)
            item_args += (source, item.mark.offset, item.mark.index)
        if item.idempotency_key:
            known = keys.once(item.group, item.idempotency_key)
            item_args.append(known_keys.setdefault(known, len(known_keys) + 1))
        else:
            item_args.append(0)
    shared: list[Argument] = [
        batch.number,
        milliseconds(lease_ttl),
        milliseconds(WRITER_TTL),
        milliseconds(meta_ttl),
        keys.inbox_prefix,
        keys.all_nodes,
        wire.VERSION_BYTE,
        batch.epoch,
        len(groups),
        len(sources),
        len(known_keys),
        milliseconds(idempotency_ttl),
    ]
    writer = keys.writer(batch.writer)
    shared_keys = (keys.alive, keys.born, writer, keys.targeted, keys.marks, keys.life)
    return Call(
        script("publish"),
        [*shared_keys, *group_keys, *known_keys],
        [*shared, *group_args, *sources, *item_args],
    )


def confirm(keys: ShardKeys, batch: Batch) -> Call:
    """Return the call that says whether a batch was published, and that can be waited for."""
    return Call(
        script("confirm"), [keys.writer(batch.writer)], [batch.number, milliseconds(WRITER_TTL)]
    )


def read_published(batch: Batch, reply: Sequence[Any]) -> Published:
    """Return what the publish script answered."""
    targeted, fallback, messages, channels = reply[:4]
    numbers: dict[str, int] = {}
    for item in batch.items:
        numbers.setdefault(item.group, len(numbers))
    epochs = [text(epoch) for epoch in reply[4 : 4 + len(numbers)]]
    rest = reply[4 + len(numbers) :]
    offsets, rest = rest[: len(batch.items)], rest[len(batch.items) :]
    members, repeats = rest[: 2 * channels], rest[2 * channels :]
    if len(offsets) != len(batch.items) or len(members) != 2 * channels:
        raise WireError(
            f"The publish script answered {len(offsets)} offsets for {len(batch.items)} "
            f"publications: processes of two releases share this Redis."
        )
    positions = [
        Position(offset=offset, epoch=epochs[numbers[item.group]]) if offset > 0 else None
        for item, offset in zip(batch.items, offsets, strict=True)
    ]
    for number, offset, epoch in zip(repeats[::3], repeats[1::3], repeats[2::3], strict=True):
        positions[number - 1] = Position(offset=offset, epoch=text(epoch)) if offset else None
    return Published(
        positions=positions,
        channels=_channels(list(numbers), members),
        targeted=targeted,
        fallback=fallback,
        repeated=sum(offset < 0 for offset in offsets),
        messages=messages,
    )


def _channels(groups: list[str], members: Sequence[Any]) -> dict[str, list[str]]:
    channels: dict[str, list[str]] = {}
    for number, name in zip(members[::2], members[1::2], strict=True):
        channels.setdefault(groups[number - 1], []).append(text(name))
    return channels
