"""What a layer that is closed leaves behind on shards that hang, or behind what does not leave."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest

from shardlayer.broker.memory.store import server
from shardlayer.broker.presence_values import Attendee
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.layer import ShardedChannelLayer, engine, node_parts
from shardlayer.layer.node import Node
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import PATIENCE, until

ROOM = "lobby"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What leaves is waited for, however busy the machine is."""
    monkeypatch.setattr(node_parts, "LEAVE_TIMEOUT", PATIENCE)


@pytest.fixture
def url() -> str:
    """The address of shards in memory."""
    return f"memory://{uuid4().hex}"


async def attended(url: str) -> tuple[ShardedChannelLayer, Node]:
    """Return a layer with a person in a room, and its node."""
    layer = ShardedChannelLayer(hosts=[url], presence_delay=0.01)
    node = await layer.node()
    (await node.join(ROOM, RecordingSink())).release()
    node.presence.come(Attendee(ROOM, "ada", "c0", b"1"))
    await node.presence.settled(ROOM)
    assert leases(url)
    assert people(url)
    return layer, node


def leases(url: str) -> int:
    return sum(len(shard.leases) for shard in server(url).shards.values())


def people(url: str) -> int:
    return sum(len(shard.rosters) for shard in server(url).shards.values())


class Hanging:
    """A call that does not return until it is let go."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()

    async def __call__(self, *_: Any, **__: Any) -> Any:
        self.begun.set()
        await self.let_go.wait()
        raise ShardUnavailable(shard=0, server="", reason="it hung")


async def test_publications_that_do_not_leave(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They use up their own time: people and leases are given back, and no task is left."""
    before = asyncio.all_tasks()
    layer, node = await attended(url)
    hanging = Hanging()
    monkeypatch.setattr(node._backend, "publish", hanging)
    monkeypatch.setattr(engine, "CLOSE_TIMEOUT", 0.0)
    publishing = asyncio.create_task(layer.publish(ROOM, b"1"))
    await hanging.begun.wait()
    await layer.close()
    with pytest.raises(ShardUnavailable, match="the layer was closed"):
        await publishing
    assert (people(url), leases(url)) == (0, 0)
    await until(lambda: asyncio.all_tasks() == before)


async def test_shard_that_hangs_keeps_no_lease_on_the_others(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are withdrawn while a shard is still asked to forget who was in its rooms."""
    layer, node = await attended(url)
    hanging = Hanging()
    monkeypatch.setattr(node._backend, "clear", hanging)
    closing = asyncio.create_task(layer.close())
    await hanging.begun.wait()
    await until(lambda: not leases(url))
    assert not closing.done()
    hanging.let_go.set()
    await closing


async def test_shard_that_hangs_is_not_waited_for(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The node's tasks have ended before it is asked, and none of them goes on."""
    before = asyncio.all_tasks()
    layer, node = await attended(url)
    monkeypatch.setattr(node._backend, "clear", Hanging())
    monkeypatch.setattr(node_parts, "LEAVE_TIMEOUT", 0.0)
    await layer.close()
    await until(lambda: asyncio.all_tasks() == before)
    assert f"Node {node.id} goes without leaving: its leases end in 60 s." in caplog.text


def test_loop_that_winds_up_while_publications_leave(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cancels the closing, too: people and leases are given back all the same."""

    async def close_and_return() -> None:
        layer, node = await attended(url)
        hanging = Hanging()
        monkeypatch.setattr(node._backend, "publish", hanging)
        publishing = asyncio.create_task(layer.publish(ROOM, b"1"))
        await hanging.begun.wait()
        closing = asyncio.create_task(layer.close())
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(closing), 0.05)
        assert not closing.done()
        assert not publishing.done()

    asyncio.run(close_and_return())
    assert (people(url), leases(url)) == (0, 0)
