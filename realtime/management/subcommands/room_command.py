"""`manage.py realtime room ROOM`: one room, now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import CommandError, CommandParser

from realtime.conf import conf
from realtime.management.arguments import count
from realtime.management.figures_text import duration, number, size
from realtime.management.history_lines import history_lines
from realtime.management.looking_command import LookingCommand
from realtime.management.tables import harmless, table
from realtime.operations import (
    NodesStatus,
    RoomMembers,
    RoomPeople,
    RoomPerson,
    anodes,
    aroom_members,
    aroom_people,
)
from realtime.rooms.listing import publication_fields, room_fields, room_with_history
from realtime.rooms.room_names import require_room_name
from realtime.sharded_layer import sharded_layer
from shardlayer import Publication, RoomInfo

LIMIT = 5  # publications
PEOPLE_HEAD = ("Person", "Primary key", "Connections")
MEMBER_HEAD = ("Connection", "User", "Address", "Connected", "Waiting", "Node")


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAt:
    """A room, its newest publications, newest first, the nodes that there are, and who is in it."""

    info: RoomInfo
    publications: list[Publication]
    nodes: NodesStatus
    people: RoomPeople
    members: RoomMembers


class RoomCommand(LookingCommand):
    """Looks at the room's Redis server, and asks the workers that have members of the room."""

    help = "Show a room: where it is, who is in it on which node, and what was published last."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the room, how much of it, and in which form."""
        parser.add_argument("room", metavar="ROOM")
        parser.add_argument(
            "--limit",
            type=count,
            default=LIMIT,
            help="How many publications at most (default: %(default)s).",
        )
        super().add_arguments(parser)

    def look(self, **options: Any) -> Any:
        """Return the room."""
        room: str = options["room"]
        require_room_name(room)
        try:
            found = async_to_sync(_look)(room, options["limit"])
        except TimeoutError as error:
            raise CommandError(
                f"Shard {sharded_layer().shard_of(room)} did not answer within "
                f"{conf().check_timeout:g} s."
            ) from error
        return found

    def json_lines(self, found: LookedAt) -> Iterator[object]:
        """Yield the room as JSON has it."""
        newest = [publication_fields(item) for item in found.publications]
        members = found.members
        yield room_fields(found.info) | {
            "people": found.people.total,
            "persons": found.people.persons,
            "connections": [{"node": each.node} | each.facts._asdict() for each in members.members],
            "silent_nodes": members.silent,
            "publications": newest[::-1],
        }

    def lines(self, found: LookedAt) -> Iterator[str]:
        """Yield facts, nodes and publications."""
        room, newest = found.info, found.publications
        yield f"Room         {room.room}"
        yield f"Shard        {room.shard}"
        yield f"Members      {room.members:,}"
        yield f"People       {number(found.people.total)}"
        yield f"Last offset  {room.offset or 'none'}"
        yield f"History      {room.history_length:,} publications"
        if room.nodes:
            yield ""
            places = {node.id: f"{node.host}:{node.pid}" for node in found.nodes.nodes}
            rows = [(node, places.get(node, "?"), members) for node, members in room.nodes.items()]
            yield from table(("Node", "Process", "Members"), rows)
        yield from _people_lines(found.people)
        yield from _member_lines(found.members)
        if newest:
            yield ""
            yield from history_lines(newest[::-1])


def _people_lines(people: RoomPeople) -> Iterator[str]:
    if people.persons:
        yield ""
        rows = [
            (_called(each), "-" if each.user is None else each.user, each.connections)
            for each in people.persons
        ]
        yield from table(PEOPLE_HEAD, rows)
    if (people.total or 0) > len(people.persons):
        yield f"The first {len(people.persons):,} of {people.total:,} are shown."


def _called(person: RoomPerson) -> str:
    if person.user is None:
        return "nobody signed in"
    return harmless(person.name.encode()) or "unknown user"


def _member_lines(members: RoomMembers) -> Iterator[str]:
    if members.members:
        yield ""
        now = time.time()
        rows = [
            (
                each.facts.client,
                each.facts.user or "-",
                each.facts.address or "-",
                f"{duration(now - each.facts.since)} ago",
                size(each.facts.waiting),
                each.node,
            )
            for each in members.members
        ]
        yield from table(MEMBER_HEAD, rows)
    if members.total > len(members.members):
        yield f"The first {len(members.members):,} of {members.total:,} are shown."
    for node in members.silent:
        yield f"It is not known who is on node {node}: it does not answer."
    if members.why:
        yield f"It is not known who is in the room. {members.why}"


async def _look(room: str, limit: int) -> LookedAt:
    layer = sharded_layer()
    (info, publications), nodes, people, members = await asyncio.gather(
        room_with_history(layer, room, limit=limit, within=conf().check_timeout),
        anodes(),
        aroom_people(room),
        aroom_members(room),
    )
    return LookedAt(
        info=info, publications=publications, nodes=nodes, people=people, members=members
    )
