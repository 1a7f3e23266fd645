"""What the admin's page of one room shows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from realtime.admin.admin_page import Memory, Query
from realtime.conf import conf
from realtime.people.persons import user_key_of
from realtime.rooms.listing import room_with_history
from realtime.sharded_layer import sharded_layer
from shardlayer import (
    PresencePage,
    Publication,
    RoomSummary,
    ShardedChannelLayer,
    ShardUnavailable,
)

HISTORY_SHOWN = 50  # publications
DATA_SHOWN = 20_000  # characters of one publication
PEOPLE_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPublication:
    """A publication as the page shows it: its data indented, and cut if they are long."""

    offset: int
    text: str
    hidden: int  # characters

    @classmethod
    def of(cls, publication: Publication) -> ShownPublication:
        """Return how to show `publication`; what is not JSON is shown as it is."""
        try:
            value = orjson.loads(publication.data)
            text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            text = publication.data.decode("utf-8", "replace")
        return cls(
            offset=publication.offset,
            text=text[:DATA_SHOWN],
            hidden=max(0, len(text) - DATA_SHOWN),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPerson:
    """Somebody in the room.

    Attributes:
        user: The primary key as text; None if nobody is signed in.
        name: The user's name as the project has it; empty if the user is gone, or unknown.
        connections: How many the person has there.
    """

    user: str | None
    name: str
    connections: int


async def look_at_room(name: str, query: Query, memory: Memory) -> Mapping[str, Any]:
    """Return what the page's templates need."""
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
        (info, history), survey, presence = await asyncio.gather(
            room_with_history(layer, name, limit=HISTORY_SHOWN, within=within),
            layer.survey([name], within=within),
            _presence(layer, name, within),
        )
    except TimeoutError:
        return context | {"unavailable": f"It did not answer within {within:g} s."}
    except ShardUnavailable as error:
        return context | {"unavailable": str(error)}
    summary = survey[name]
    return context | {
        "room": info,
        "idle": summary.idle if isinstance(summary, RoomSummary) else None,
        "history": [ShownPublication.of(item) for item in history],
        "presence": presence,
        "people": await _people(presence),
    }


async def _presence(layer: ShardedChannelLayer, name: str, within: float) -> PresencePage:
    async with asyncio.timeout(within):
        return await layer.presence(name, limit=PEOPLE_SHOWN)


async def _people(page: PresencePage) -> list[ShownPerson]:
    keys = [user_key_of(person.name) for person in page.persons]
    names = await _names_of([key for key in keys if key is not None])
    return [
        ShownPerson(
            user=key,
            name="" if key is None else names.get(key, ""),
            connections=person.connections,
        )
        for key, person in zip(keys, page.persons, strict=True)
    ]


@database_sync_to_async  # type: ignore[untyped-decorator]
def _names_of(keys: Sequence[str]) -> dict[str, str]:
    """Return what users are called, by their primary key as text, in one query."""
    if not keys:
        return {}
    model = get_user_model()
    wanted = []
    for key in keys:
        try:
            wanted.append(model._meta.pk.to_python(key))
        except ValidationError:  # of users that the model had before
            continue
    found = model._default_manager.filter(pk__in=wanted)
    return {str(user.pk): user.get_username() for user in found}
