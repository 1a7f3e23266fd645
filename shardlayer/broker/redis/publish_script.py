"""The call that publishes: values in, KEYS and ARGV out; a reply in, values out. No I/O.

The layout is documented at the head of scripts/publish.lua.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgpack

from shardlayer.broker.redis.calls import Argument, Call, milliseconds, text
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.broker.redis.scripts import script
from shardlayer.broker.values import WRITER_TTL, Batch, Outgoing, Published
from shardlayer.core import wire
from shardlayer.core.exceptions import WireError
from shardlayer.core.types import HistoryPolicy, Position, as_position

_FOR_ALL_NODES = -1  # in place of a history's size

_details = struct.Struct(">HqqH")


def publish(
    keys: Sequence[ShardKeys],
    bundle: int,
    batch: Batch,
    *,
    lease_ttl: float,
    meta_ttl: float,
    meta_ttl_per_publication: float,
    idempotency_ttl: float,
    joint_prefix: str = "",
) -> Call:
    """Return the call that publishes a batch to a bundle, given the keys of all shards.

    TTLs in seconds. `joint_prefix` is that of the channel on which a node hears several shards of
    the server; without, it hears each by itself.
    """
    shards: dict[int, int] = {}  # each with its number in this call, as all that is numbered here
    sources: list[dict[str, int]] = []  # of each shard
    policies: dict[tuple[int, float, bool], int] = {}
    # What is kept and what is not are two groups here: Channels messages of a room have no offset.
    kept: dict[str, int] = {}
    passing: dict[str, int] = {}
    places: list[int] = []  # of each group: its shard and its policy
    metas: list[str] = []
    room_keys: list[str] = []
    once_keys: dict[str, int] = {}
    latest_keys: list[str] = []
    numbers: list[int] = []  # of each publication's group
    details: list[bytes] = []
    is_plain = not [
        item
        for item in batch.items
        if item.mark is not None or item.idempotency_key or item.preface
    ]
    policy: HistoryPolicy | None = None  # of the item before: most of a batch have the same
    for_all = False
    for item in batch.items:
        if item.policy is not policy or item.for_all != for_all:
            policy, for_all = item.policy, item.for_all
            groups = kept if policy.keeps else passing
            history = (_FOR_ALL_NODES if for_all else policy.size, policy.ttl, policy.latest)
            policy_number = policies.setdefault(history, len(policies) + 1)
        number = groups.get(item.group)
        if number is None:
            number = groups[item.group] = len(kept) + len(passing) + 1
            shard = shards.get(item.shard)
            if shard is None:
                shard = shards[item.shard] = len(shards) + 1
                sources.append({})
            places += (shard, policy_number)
            its_keys = keys[item.shard]
            if policy.latest:
                latest_keys.append(its_keys.latest(item.group))
            # Without a call for each key: this is done for each room of a batch.
            metas.append(its_keys.meta_prefix + item.group)
            room_keys += (
                its_keys.nodes_prefix + item.group,
                its_keys.history_prefix + item.group,
            )
        numbers.append(number)
        if is_plain:
            continue
        source = record = index = once = 0
        if item.mark is not None:
            its_sources = sources[shards[item.shard] - 1]
            source = its_sources.setdefault(item.mark.source, len(its_sources) + 1)
            record, index = item.mark.offset, item.mark.index
        if item.idempotency_key:
            key = keys[item.shard].once(item.group, item.idempotency_key)
            once = once_keys.setdefault(key, len(once_keys) + 1)
        details.append(_details.pack(source, record, index, once))
    state_keys = [keys[bundle].writer(batch.writer)]
    registry_keys: list[str] = []
    shard_args: list[Argument] = []
    for shard, its_sources in zip(shards, sources, strict=True):
        its_keys = keys[shard]
        state_keys += (its_keys.born, its_keys.targeted, its_keys.life)
        registry_keys += (its_keys.alive, its_keys.marks)
        shard_args += (its_keys.inbox_prefix, its_keys.all_nodes, len(its_sources), shard)
    policy_args: list[Argument] = []
    for size, ttl, latest in policies:
        policy_args += (size, milliseconds(ttl), int(latest))
    head: list[Argument] = [
        batch.number,
        milliseconds(lease_ttl),
        milliseconds(WRITER_TTL),
        milliseconds(meta_ttl),
        wire.opening(batch.since),
        batch.epoch,
        milliseconds(idempotency_ttl),
        len(shards),
        len(policies),
        _packed(places),
        _packed(numbers),
        b"".join(details),
        milliseconds(meta_ttl_per_publication),
        b"" if is_plain else _prefaces(batch.items),
        joint_prefix if len(shards) > 1 else "",
    ]
    bodies = [item.body for item in batch.items]
    return Call(
        script("publish"),
        [*state_keys, *metas, *registry_keys, *room_keys, *once_keys, *latest_keys],
        [*head, *shard_args, *policy_args, *chain.from_iterable(sources), *bodies],
    )


def confirm(keys: ShardKeys, batch: Batch) -> Call:
    """Return the call that says whether a batch was published, and that can be waited for."""
    return Call(
        script("confirm"), [keys.writer(batch.writer)], [batch.number, milliseconds(WRITER_TTL)]
    )


def read_published(batch: Batch, reply: Sequence[Any]) -> Published:
    """Return what the publish script answered."""
    targeted, fallback, messages, repeated, heads, channels, known, mended = reply[:8]
    rest = reply[8:]
    members, rest = rest[: 2 * channels], rest[2 * channels :]
    repeats, rest = rest[: 3 * known], rest[3 * known :]
    begun, failures = rest[:mended], rest[mended:]
    positions = [as_position(head) if head[0] else None for head in wire.unpack_heads(heads)]
    if len(positions) != len(batch.items) or len(members) != 2 * channels:
        raise WireError(
            f"The publish script answered {len(positions)} positions for {len(batch.items)} "
            f"publications: processes of different releases share this Redis."
        )
    for number, offset, epoch in zip(repeats[::3], repeats[1::3], repeats[2::3], strict=True):
        positions[number - 1] = Position(offset=offset, epoch=text(epoch)) if offset else None
    return Published(
        positions=positions,
        channels=_channels(batch, members),
        targeted=targeted,
        fallback=fallback,
        repeated=repeated,
        messages=messages,
        mended=_names(batch, begun),
        failed=_failed(failures),
    )


def _prefaces(items: Sequence[Outgoing]) -> bytes:
    """Return the prefaces by the numbers of their publications, as MessagePack; or nothing."""
    prefaces = {number: item.preface for number, item in enumerate(items, 1) if item.preface}
    return msgpack.packb(prefaces, use_bin_type=False) if prefaces else b""


def _packed(numbers: Sequence[int]) -> bytes:
    return struct.pack(f">{len(numbers)}H", *numbers)


def _failed(failures: Sequence[Any]) -> dict[int, str]:
    if not failures:
        return {}
    pairs = zip(failures[::2], failures[1::2], strict=True)
    return {number - 1: text(reason) for number, reason in pairs}


def _channels(batch: Batch, members: Sequence[Any]) -> dict[str, list[str]]:
    if not members:
        return {}
    channels: dict[str, dict[str, None]] = {}
    groups = _names(batch, members[::2])
    for group, name in zip(groups, members[1::2], strict=True):
        channels.setdefault(group, {})[text(name)] = None
    return {group: list(names) for group, names in channels.items()}


def _names(batch: Batch, numbers: Sequence[int]) -> list[str]:
    """Return the names of groups, by their numbers in the call that `publish` makes."""
    if not numbers:
        return []
    groups = list(dict.fromkeys((item.group, item.policy.keeps) for item in batch.items))
    return [groups[number - 1][0] for number in numbers]
