"""What the admin's page of one room shows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson
from django.utils.translation import gettext as _

from realtime.admin.admin_page import Memory, Query
from realtime.admin.watched_room import watched_room
from realtime.conf import conf
from realtime.operations import RoomMembers, RoomPerson, aroom_members
from realtime.people.persons import user_key_of
from realtime.people.user_names import user_names
from realtime.rooms.listing import local_time, room_with_history, source_of
from realtime.sharded_layer import sharded_layer
from shardlayer import (
    PresencePage,
    Publication,
    RoomSummary,
    ShardedChannelLayer,
    ShardUnavailable,
    stall_tolerant_timeout,
)

HISTORY_SHOWN = 50  # publications
DATA_SHOWN = 20_000  # characters of one publication
PEOPLE_SHOWN = 100
MEMBERS_SHOWN = 100
MEMBERS_PAUSE = 2.0  # seconds between two questions to the workers, however often the page looks


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPublication:
    """A publication as the page shows it: its data indented, and cut if they are long.

    Attributes:
        offset: Its number.
        text: Its data.
        hidden: Characters of them that are not shown.
        time: When it was published, in the time zone of the settings; empty if that is not known.
        age: Seconds since then, by this machine's clock.
        source: Where it came from: `events/0`; empty for no such place.
        source_offset: The record's offset there.
    """

    offset: int
    text: str
    hidden: int
    time: str
    age: float | None
    source: str
    source_offset: int | None

    @classmethod
    def of(cls, publication: Publication) -> ShownPublication:
        """Return how to show `publication`; what is not JSON is shown as it is."""
        try:
            value = orjson.loads(publication.data)
            text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            text = publication.data.decode("utf-8", "replace")
        source, place = source_of(publication)
        at = publication.time
        return cls(
            offset=publication.offset,
            text=text[:DATA_SHOWN],
            hidden=max(0, len(text) - DATA_SHOWN),
            time=local_time(at),
            age=None if at is None else max(0.0, time.time() - at),
            source=source,
            source_offset=place,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMember:
    """One connection to the room.

    Attributes:
        client: The connection's id.
        user: The primary key as text; None if nobody is signed in, or nobody had to ask yet.
        name: The user's name as the project has it; empty if the user is gone, or unknown.
        address: Its IP address; empty if its server does not say.
        node: The id of its worker.
        age: Seconds since it connected, by the clocks of two machines.
        waiting: Bytes that it has not taken yet.
    """

    client: str
    user: str | None
    name: str
    address: str
    node: str
    age: float
    waiting: int


async def look_at_room(
    name: str, query: Query, memory: Memory, *, is_watched: bool = False
) -> Mapping[str, Any]:
    """Return what the page's templates need.

    Who watches a room without history sees what comes while the page is open.
    """
    layer, within = sharded_layer(), conf().check_timeout
    policy = layer.options.policy_of(name)
    context: dict[str, Any] = {
        "name": name,
        "shard": layer.shard_of(name),
        "limit": HISTORY_SHOWN,
        "keeps": policy.keeps,
        "policy": policy,
    }
    try:
        (info, history), survey, presence, members = await asyncio.gather(
            room_with_history(layer, name, limit=HISTORY_SHOWN, within=within),
            layer.survey([name], within=within),
            _presence(layer, name, within),
            _members(name, memory),
        )
    except TimeoutError:
        return context | {
            "unavailable": _("There was no answer within %(seconds)s s.")
            % {"seconds": f"{within:g}"}
        }
    except ShardUnavailable as error:
        return context | {"unavailable": str(error)}
    if is_watched and not policy.keeps:
        try:
            watched = await watched_room(layer, name, memory)
        except ShardUnavailable as error:
            return context | {"unavailable": str(error)}
        history = [] if watched is None else watched.publications()
    summary = survey[name]
    shown, people = await _named(members, presence)
    return context | {
        "room": info,
        "idle": summary.idle if isinstance(summary, RoomSummary) else None,
        "history": [ShownPublication.of(item) for item in history],
        "presence": presence,
        "people": people,
        "members": members,
        "connections": shown,
        "shows_passing": is_watched and not policy.keeps,
    }


async def _presence(layer: ShardedChannelLayer, name: str, within: float) -> PresencePage:
    async with stall_tolerant_timeout(within):
        return await layer.presence(name, limit=PEOPLE_SHOWN)


async def _members(name: str, memory: Memory) -> RoomMembers:
    """Ask the workers, but not each time that the page looks."""
    asked, known = memory.get("members", (0.0, None))
    if known is not None and time.monotonic() - asked < MEMBERS_PAUSE:
        return cast(RoomMembers, known)
    found = await aroom_members(name, limit=MEMBERS_SHOWN)
    memory["members"] = (time.monotonic(), found)
    return found


async def _named(
    members: RoomMembers, page: PresencePage
) -> tuple[list[ShownMember], list[RoomPerson]]:
    """Return connections and people with their users' names, which one query reads."""
    keys = [user_key_of(person.name) for person in page.persons]
    wanted = {*keys, *(member.facts.user for member in members.members)}
    names = await user_names([key for key in wanted if key is not None])
    now = time.time()
    shown = [
        ShownMember(
            client=member.facts.client,
            user=member.facts.user,
            name=names.get(member.facts.user or "", ""),
            address=member.facts.address or "",
            node=member.node,
            age=max(0.0, now - member.facts.since),
            waiting=member.facts.waiting,
        )
        for member in members.members
    ]
    return shown, RoomPerson.all_of(page, names)
