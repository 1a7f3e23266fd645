"""What PRESENCE_FETCH returns without a JSON form does no more than an exception would."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from pytest_django import Settings

from realtime.clients.client_counters import counters
from realtime.clients.protocol.commands import AskPresence
from realtime.people.presence_answer import presence_answer
from realtime.sharded_layer import sharded_layer
from shardlayer import Attendee, ShardedChannelLayer
from tests.waiting import until

FIELDS: dict[str, Any] = {
    "7": {"name": "ada"},
    "8": {"picture": object()},
    "9": {"tags": {"a", "b"}},
    "10": None,
}


async def fetch(keys: Sequence[str]) -> dict[str, Any]:
    """Return what has a JSON form, and what has none."""
    return {key: FIELDS[key] for key in keys}


async def no_mapping(keys: Sequence[str]) -> Any:
    """Return something else than what was asked for."""
    return [FIELDS[key] for key in keys]


async def answered() -> str:
    """Return what a client is answered that asks who is in a room."""
    command = AskPresence(id=1, room="lobby", limit=None, after="")
    return (await presence_answer(sharded_layer(), command, max_bytes=0)).decode()


@pytest.fixture
async def four_people(memory_layer: ShardedChannelLayer) -> None:
    """The users 7, 8, 9 and 10 in a room."""
    node = await memory_layer.node()
    for key in FIELDS:
        node.presence.come(Attendee("lobby", key, "1", b"", False))

    async def are_there() -> bool:
        return (await memory_layer.presence("lobby", limit=10)).people == len(FIELDS)

    await until(are_there)


@pytest.mark.usefixtures("four_people")
async def test_only_who_it_is_about_goes_without(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """The others keep theirs; it is counted once for the answer, and logged."""
    settings.REALTIME = {"PRESENCE_FETCH": f"{__name__}.fetch"}
    before = counters.presence_fetches_failed
    answer = await answered()
    assert '{"person":"7","connections":1,"fields":{"name":"ada"}}' in answer
    for key in ("8", "9", "10"):
        assert f'{{"person":"{key}","connections":1}}' in answer
    assert counters.presence_fetches_failed == before + 1
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "PRESENCE_FETCH" in record.getMessage()


@pytest.mark.usefixtures("four_people")
async def test_answer_of_another_type_is_a_failure(settings: Settings) -> None:
    """As an exception is: everybody goes without."""
    settings.REALTIME = {"PRESENCE_FETCH": f"{__name__}.no_mapping"}
    before = counters.presence_fetches_failed
    answer = await answered()
    assert '"people":4' in answer
    assert "fields" not in answer
    assert counters.presence_fetches_failed == before + 1
