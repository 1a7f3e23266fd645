"""Calls of the scripts that know who is in which room. No I/O.

An *entry* of a node's `here` is one connection to one room:

    entry := room NUL person NUL told connection NUL info

`told` is `!` if the nodes of the room are told of it, else `.`. The entries of a node are sorted by
their bytes, so those of a room, and within it of a person, stand together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardlayer.broker.presence_values import (
    LEASE_MARGIN,
    MAX_LISTED,
    Announced,
    Announcement,
    Attendee,
    Person,
    PresencePage,
    Watch,
)
from shardlayer.broker.redis.calls import Argument, Call, milliseconds, text
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.broker.redis.scripts import script
from shardlayer.core import wire
from shardlayer.core.types import NodeId

_HEADS = wire.VERSION_BYTE + bytes((wire.Kind.PRESENCE,))


def announce(keys: ShardKeys, announcement: Announcement) -> tuple[Call, list[str]]:
    """Return the call that takes an announcement, and the rooms that its answer numbers."""
    node, number, came, went = announcement
    return _changes(keys, node, "announce", str(number), came, went)


def clear(
    keys: ShardKeys, node: NodeId, attendees: Sequence[Attendee], *, ends: bool, lease_ttl: float
) -> tuple[Call, list[str]]:
    """Return the call that clears people of a node, and the rooms that its answer numbers."""
    if ends:
        return _changes(keys, node, "end", "", (), attendees)
    return _changes(keys, node, "clear", str(_margin(lease_ttl)), (), attendees)


def read_announced(rooms: Sequence[str], reply: Sequence[int]) -> Announced:
    """Return what the announce script answered."""
    known, *turned = reply
    pairs = zip(turned[::2], turned[1::2], strict=True)
    return Announced(bool(known), {rooms[room - 1]: bool(is_in) for room, is_in in pairs})


def watch(keys: ShardKeys, node: NodeId, number: int, *, lease_ttl: float) -> Call:
    """Return the call that asks which nodes are gone."""
    its_keys = [keys.present, keys.alive]
    return Call(script("watch"), its_keys, [node, number, _margin(lease_ttl)])


def read_watch(reply: Sequence[Any]) -> Watch:
    """Return what the watch script answered."""
    known, ends_in, is_miscounted, *gone = reply
    return Watch(
        known=bool(known),
        gone=_nodes(gone),
        ends_in=ends_in / 1_000 if ends_in >= 0 else None,
        miscounted=bool(is_miscounted),
    )


def roll(keys: ShardKeys, node: NodeId, after: Attendee | None, limit: int) -> list[Argument]:
    """Return the command that reads entries of a node."""
    begin = b"-" if after is None else b"(" + after.room.encode() + b"\0" + _entry(after)
    return ["ZRANGEBYLEX", keys.here(node), begin, "+", "LIMIT", 0, limit]


def read_roll(entries: Sequence[bytes]) -> list[Attendee]:
    """Return whom entries name."""
    found = []
    for entry in entries:
        parts = entry.split(b"\0", 3)
        if len(parts) < 4:
            continue  # nothing of ours
        room, person, told, info = parts
        found.append(Attendee(text(room), text(person), text(told[1:]), info, told[:1] == b"!"))
    return found


def recount(keys: ShardKeys, room: str, nodes: Sequence[NodeId]) -> Call:
    """Return the call that counts anew who is in a room, given the nodes of its shard."""
    its_keys = [keys.people(room), keys.present, *map(keys.here, nodes)]
    return Call(script("recount"), its_keys, [room, *nodes])


def present(
    keys: ShardKeys, room: str, nodes: Sequence[NodeId], *, limit: int, after: str, lease_ttl: float
) -> Call:
    """Return the call that says who is in a room, given the nodes of its shard.

    One person more is asked for, to know whether there is one.
    """
    return Call(
        script("present"),
        [keys.people(room), keys.present, keys.alive, *map(keys.here, nodes)],
        [room, limit + 1 if limit else 0, after, MAX_LISTED, _margin(lease_ttl), *nodes],
    )


def read_nodes(reply: Sequence[Any]) -> list[NodeId] | None:
    """Return the nodes of a shard, if that is the answer: the caller did not know all of them."""
    return _nodes(reply[1:]) if reply[0] == -1 else None


def read_present(reply: Sequence[Any], *, limit: int) -> PresencePage:
    """Return what the present script answered."""
    people, connections, count = reply[:3]
    gone, at = _nodes(reply[3 : 3 + count]), 3 + count
    counts: dict[bytes, int] = {}
    infos: dict[bytes, list[bytes]] = {}
    while at < len(reply):
        name, counts[name], listed = reply[at], reply[at + 1], reply[at + 2]
        at += 3
        infos.setdefault(name, []).extend(reply[at : at + listed])
        at += listed
    names = sorted(counts)
    persons = [Person(text(name), counts[name], infos[name]) for name in names[:limit]]
    return PresencePage(people, connections, persons, len(names) > limit, gone)


def _changes(
    keys: ShardKeys,
    node: NodeId,
    mode: str,
    number: str,
    came: Sequence[Attendee],
    went: Sequence[Attendee],
) -> tuple[Call, list[str]]:
    by_room: dict[str, list[Argument]] = {}
    for sign, attendees in ((b"+", came), (b"-", went)):
        for attendee in attendees:
            by_room.setdefault(attendee.room, []).append(sign + _entry(attendee))
    its_keys = [keys.present, keys.here(node), keys.alive]
    args: list[Argument] = [node, mode, number, keys.inbox_prefix, _HEADS]
    for room, changes in by_room.items():
        its_keys += (keys.people(room), keys.nodes(room))
        args += (room, len(changes))
    for changes in by_room.values():
        args += changes
    return Call(script("announce"), its_keys, args), list(by_room)


def _margin(lease_ttl: float) -> int:
    """Return how long before its end a lease counts as over, in ms."""
    return milliseconds(lease_ttl * LEASE_MARGIN)


def _entry(attendee: Attendee) -> bytes:
    """Return an attendee's entry without the room and the NUL behind it."""
    _, person, connection, info, told = attendee
    return f"{person}\0{'!' if told else '.'}{connection}\0".encode() + info


def _nodes(names: Sequence[bytes | str]) -> list[NodeId]:
    return [NodeId(text(name)) for name in names]
