"""The people in a room, as presence knows them: users with their names, and strangers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from asgiref.sync import async_to_sync
from channels import DEFAULT_CHANNEL_LAYER
from django.db import DatabaseError

from realtime.conf import conf
from realtime.people.persons import user_key_of
from realtime.people.user_names import user_names
from realtime.rooms.room_names import require_room_name
from realtime.sharded_layer import sharded_layer
from shardlayer import PresencePage, stall_tolerant_timeout

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPerson:
    """Somebody in a room.

    Attributes:
        user: The primary key as text; None if nobody is signed in.
        name: The user's name as the project has it; empty if the user is gone, or unknown.
        connections: How many the person has there.
    """

    user: str | None
    name: str
    connections: int

    @classmethod
    def all_of(cls, page: PresencePage, names: Mapping[str, str]) -> list[RoomPerson]:
        """Return the people whom presence names, in its order."""
        return [
            cls(user=key, name=names.get(key or "", ""), connections=person.connections)
            for person in page.persons
            for key in [user_key_of(person.name)]
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPeople:
    """The people in a room.

    Attributes:
        persons: The first of them.
        total: How many there are; None where nobody is there, or the room has no presence.
    """

    persons: tuple[RoomPerson, ...]
    total: int | None


async def aroom_people(
    room: str, *, limit: int = 100, using: str = DEFAULT_CHANNEL_LAYER
) -> RoomPeople:
    """Return who is in a room, on all nodes, as far as the room has presence.

    Without the database users have no names.

    Args:
        room: The room's name.
        limit: People who are named, at most.
        using: The alias of the channel layer.

    Raises:
        ValueError: The room's name breaks the rules.
        ShardUnavailable: The room's server does not answer.
        TimeoutError: It did not within `CHECK_TIMEOUT`.
    """
    require_room_name(room)
    async with stall_tolerant_timeout(conf().check_timeout):
        page = await sharded_layer(using).presence(room, limit=limit)
    keys = [key for person in page.persons if (key := user_key_of(person.name)) is not None]
    try:
        names = await user_names(keys)
    except DatabaseError as error:
        logger.warning("The names of users are unknown: %s", error)
        names = {}
    return RoomPeople(persons=tuple(RoomPerson.all_of(page, names)), total=page.people or None)


room_people = async_to_sync(aroom_people)
