"""What a worker says at its start, and leaves behind at its end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from realtime.lifespan import lifespan
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardedChannelLayer
from tests.realtime.conftest import channel_layers


class Server:
    """The server's side of a lifespan."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.replies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.task = asyncio.ensure_future(
            lifespan({"type": "lifespan"}, self.events.get, self.replies.put)
        )

    async def tell(self, event: str) -> dict[str, Any]:
        self.events.put_nowait({"type": f"lifespan.{event}"})
        return await asyncio.wait_for(self.replies.get(), 10)


async def test_worker_registers_and_withdraws(redis_layer: ShardedChannelLayer) -> None:
    """After the startup the node has its leases; after the shutdown it has none."""
    server = Server()
    assert (await server.tell("startup"))["type"] == "lifespan.startup.complete"
    node = await redis_layer.node()
    engine_backend = node._backend
    await node._settled(0)
    assert await engine_backend.renew(0, node.id)
    assert (await server.tell("shutdown"))["type"] == "lifespan.shutdown.complete"
    await server.task
    assert not await (await redis_layer.node())._backend.renew(0, node.id)


@pytest.mark.parametrize("cluster", [False, True], ids=["server", "cluster"])
async def test_worker_starts_without_redis(settings: Settings, *, cluster: bool) -> None:
    """A Redis that is away is waited for by a worker that runs."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=["redis://127.0.0.1:1"], cluster=cluster)
    server = Server()
    assert (await server.tell("startup"))["type"] == "lifespan.startup.complete"
    assert (await server.tell("shutdown"))["type"] == "lifespan.shutdown.complete"
    await server.task


async def test_worker_whose_rule_leads_nowhere_does_not_start(settings: Settings) -> None:
    """The log names the setting, and not only the module that lacks something."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=["memory://lifespan"])
    settings.REALTIME = {"ROOMS": {"clubs.*": {"publish": "realtime.nowhere.rule"}}}
    server = Server()
    answer = await server.tell("startup")
    assert answer["type"] == "lifespan.startup.failed"
    assert "REALTIME['ROOMS']['clubs.*']['publish']" in answer["message"]
    assert "realtime.nowhere" in answer["message"]
    await server.task


async def test_worker_with_another_layout_does_not_start(
    settings: Settings, redis_server: EmbeddedValkey
) -> None:
    """Two processes that disagree on `shards` would not find each other's rooms."""
    first = ShardedChannelLayer(hosts=[redis_server.url])
    await first.publish("room", b"1")
    await first.close()
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url], shards=8)
    reply = await Server().tell("startup")
    assert reply["type"] == "lifespan.startup.failed"
    assert "holds 32 shards" in reply["message"]
    assert "shards = 8" in reply["message"]
    await sharded_layer().close()


@pytest.mark.parametrize("rule", ["nowhere.at.all", "tests.realtime.test_lifespan.channel_layers"])
async def test_worker_whose_rules_can_not_be_asked_does_not_start(
    settings: Settings, memory_layer: ShardedChannelLayer, rule: str
) -> None:
    """It says so, and not its first client."""
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": rule}}}
    server = Server()
    answer = await server.tell("startup")
    assert answer["type"] == "lifespan.startup.failed"
    assert "nowhere" in answer["message"] or "(user, room, claims)" in answer["message"]
    await server.task
