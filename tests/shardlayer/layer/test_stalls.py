"""Limits of the layer's questions, where this very process stood still while they ran."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from shardlayer.broker.process_reports import ServerMemory
from shardlayer.channels import group_members
from shardlayer.core.exceptions import ShardLayerError
from shardlayer.core.types import NodeId, Position
from shardlayer.delivery import position_checks
from shardlayer.layer import ShardedChannelLayer
from tests.shardlayer.fakes import RecordingSink, some_turns, stand_still

LIMIT = 30.0  # seconds
STILL = 40.0  # seconds

Ask = Callable[[ShardedChannelLayer], Awaitable[Any]]


@pytest.fixture
async def layer() -> AsyncIterator[ShardedChannelLayer]:
    """A layer in memory, with a node in this loop."""
    made = ShardedChannelLayer(hosts=[f"memory://{uuid4().hex}"])
    await made.node()
    yield made
    await made.close()


def backend_of(layer: ShardedChannelLayer) -> Any:
    return layer._engines.own().backend


QUESTIONS: dict[str, Ask] = {
    "ping": lambda layer: layer.ping(LIMIT),
    "scan": lambda layer: layer.room_names(0, within=LIMIT),
    "survey": lambda layer: layer.survey(["room"], within=LIMIT),
    "positions": lambda layer: layer.position("room", within=LIMIT),
    "report_process": lambda layer: layer.report_process("p", b"", ttl=60, within=LIMIT),
    "process_reports": lambda layer: layer.process_reports(within=LIMIT),
    "memory": lambda layer: layer.server_memory(within=LIMIT),
}


async def some_memory(_server: int) -> ServerMemory:
    return ServerMemory(used=1, limit=2)


@pytest.mark.parametrize("method", QUESTIONS)
async def test_question_under_way_while_the_process_stands_still(
    layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Its answer is there, and takes some turns: nothing is asked twice, nobody called dead."""
    backend, asked = backend_of(layer), 0
    if method == "memory":
        monkeypatch.setattr(backend, method, some_memory)
    original = getattr(backend, method)
    expected = await QUESTIONS[method](layer)

    async def late(*arguments: Any, **named: Any) -> Any:
        nonlocal asked
        asked += 1
        stand_still(STILL)
        await some_turns()
        return await original(*arguments, **named)

    monkeypatch.setattr(backend, method, late)
    found = await QUESTIONS[method](layer)
    assert asked == 1
    if method == "process_reports":
        assert found.silent == expected.silent == {}
    else:
        assert found == expected


async def test_server_that_does_not_answer_is_called_silent(
    layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop went on, so the time limit is the server's fault."""

    async def never(*arguments: Any, **named: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    for method in ("ping", "scan", "survey", "process_reports"):
        monkeypatch.setattr(backend_of(layer), method, never)
    [answer] = (await layer.ping(0.2)).values()
    assert "no answer within 0.2 s" in str(answer)
    with pytest.raises(TimeoutError):
        await layer.room_names(0, within=0.2)
    [summary] = (await layer.survey(["room"], within=0.2)).values()
    assert isinstance(summary, ShardLayerError)
    assert len((await layer.process_reports(within=0.2)).silent) == 1


@pytest.mark.parametrize("late_looks", [0, 3])
async def test_census_after_the_process_stood_still(
    layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch, late_looks: int
) -> None:
    """A look from before it is not the last; nodes that stood still, too, have time to answer."""
    monkeypatch.setattr("shardlayer.layer.layer_groups.ANSWER_TIMEOUT", LIMIT)
    channel = await layer.new_channel()
    await layer.group_add("chat", channel)
    backend, looks = backend_of(layer), 0
    original = backend.census_answers

    async def look(shard: int, question: bytes) -> dict[NodeId, bytes]:
        nonlocal looks
        looks += 1
        if looks == 1:
            await some_turns()  # the node answers
            stand_still(STILL)
            await some_turns()
        if looks <= 1 + late_looks:
            return {}
        found: dict[NodeId, bytes] = await original(shard, question)
        return found

    monkeypatch.setattr(backend, "census_answers", look)
    assert await layer.group_members("chat") == [channel]


async def test_room_is_not_missing_what_waits_in_the_socket(
    layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that finds the loop to have stood still concludes nothing; the next one does."""
    node = await layer.node()
    (await node.join("room", RecordingSink())).release()
    await layer.publish("room", b"1")
    here = await layer.position("room")
    assert here is not None

    async def ahead(shard: int, rooms: Any) -> list[Position]:
        return [Position(here.offset + 1, here.epoch) for _ in rooms]

    monkeypatch.setattr(backend_of(layer), "positions", ahead)
    checks, shard = node._checks, layer.shard_of("room")
    monkeypatch.setattr(position_checks, "GRACE", LIMIT)
    checking = asyncio.create_task(checks.check(shard))
    await some_turns()
    stand_still(STILL)
    await checking
    assert checks.found == 0
    monkeypatch.setattr(position_checks, "GRACE", 0.0)
    await checks.check(shard)
    assert checks.found == 1


async def test_channel_stays_in_its_group_for_what_waits_in_the_socket(
    layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the order to leave does not come, part of the time passes while the loop goes on."""

    async def told(*arguments: Any, **named: Any) -> bool:
        return True

    node = await layer.node()
    channel = await layer.new_channel()
    await layer.group_add("chat", channel)
    monkeypatch.setattr(backend_of(layer), "echo", told)
    monkeypatch.setattr(group_members, "ECHO_TIMEOUT", LIMIT)
    await node.memberships.discard_in_order("chat", channel)
    await some_turns()
    stand_still(STILL)
    await some_turns()
    assert node.members("chat") == 1
    stand_still(STILL)
    await some_turns()
    assert node.members("chat") == 0
