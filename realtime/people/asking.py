"""Asking who is in a room, from anywhere in Django."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from channels import DEFAULT_CHANNEL_LAYER

from realtime.people.people_fields import fields_of
from realtime.people.persons import user_key_of
from realtime.people.room_signals import send_room_signal
from realtime.rooms.room_names import require_room_name
from realtime.sharded_layer import sharded_layer
from realtime.twins import LayerCall, twins
from shardlayer import PresencePage, ShardedChannelLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonHere:
    """A person in a room.

    Attributes:
        person: The user's primary key as text, or a name that begins with `~` for a connection that
            nobody is signed in on. It stays the same while the person is there.
        user: The user's primary key as text; None if nobody is signed in.
        connections: On how many connections the person is in the room, such as tabs and devices.
        infos: What PRESENCE_INFO returned for these; at most 16 of each worker.
        fields: What PRESENCE_FETCH returned for the user; None if it returned nothing.
    """

    person: str
    user: str | None
    connections: int
    infos: Sequence[Any]
    fields: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPresence:
    """Who is in a room.

    Attributes:
        people: How many people are in the room, exactly. Several devices of a user are one.
        connections: How many connections they have there.
        persons: Some of them, in the order of the bytes of `person`.
        next: What to pass as `after` to get the next ones; None if these are the last.
    """

    people: int
    connections: int
    persons: Sequence[PersonHere]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceStats:
    """How many are in a room: `people`, and the `connections` that they have there."""

    people: int
    connections: int


def _presence(
    room: str, *, limit: int = 100, after: str | None = None, using: str = DEFAULT_CHANNEL_LAYER
) -> LayerCall[RoomPresence]:
    """Return who is in `room`, on all workers: a page of them, and how many there are.

    Only rooms with a `presence` rule in `ROOMS` other than `nobody` are known; others are empty.

    Args:
        room: The room's name.
        limit: How many people to name, 500 at most. 0: only counts.
        after: The `next` of the page before.
        using: The alias of the channel layer.

    Raises:
        ValueError: The room's name breaks the rules.
        ShardUnavailable: The room's shard does not answer.
    """
    require_room_name(room)
    layer = sharded_layer(using)

    async def ask() -> RoomPresence:
        page = await _page(layer, room, limit, after)
        return _room_presence(page, await fields_of([person.name for person in page.persons]))

    return LayerCall(layer, ask)


def _presence_stats(room: str, *, using: str = DEFAULT_CHANNEL_LAYER) -> LayerCall[PresenceStats]:
    """Return how many are in `room`, on all workers. Raises what `presence` does."""
    require_room_name(room)
    layer = sharded_layer(using)

    async def ask() -> PresenceStats:
        page = await _page(layer, room, 0, None)
        return PresenceStats(people=page.people, connections=page.connections)

    return LayerCall(layer, ask)


async def _page(
    layer: ShardedChannelLayer, room: str, limit: int, after: str | None
) -> PresencePage:
    layer.room_watchers.add(send_room_signal)  # who asks may find that a worker died
    return await layer.presence(room, limit=limit, after=after or "")


def _room_presence(page: PresencePage, fields: Mapping[str, Any]) -> RoomPresence:
    persons = [
        PersonHere(
            person=person.name,
            user=user_key_of(person.name),
            connections=person.connections,
            infos=[orjson.loads(info) for info in person.infos if info],
            fields=fields.get(person.name),
        )
        for person in page.persons
    ]
    following = persons[-1].person if page.more and persons else None
    return RoomPresence(
        people=page.people, connections=page.connections, persons=persons, next=following
    )


presence, apresence = twins(_presence)
presence_stats, apresence_stats = twins(_presence_stats)
