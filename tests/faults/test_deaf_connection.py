"""A connection that hears nothing any more is found and replaced, and nothing is lost meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.credentials import CredentialProvider

from benchmarks.faults.proxy import LossyProxy
from demo.embedded import EmbeddedValkey
from shardlayer.aio.time_slices import TURN
from shardlayer.broker.redis.command_link import CommandLink
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.core import wire
from shardlayer.core.options import PREFIX, SHARDS
from shardlayer.core.sharding import hash_tags
from shardlayer.layer import ShardedChannelLayer
from shardlayer.layer.node import Node
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until

pytestmark = pytest.mark.slow

ROOM = "general"
BATCHES = 900  # that take longer to hand out than a probe may take: a TURN each
LIMIT = 15.0  # seconds within which any deaf connection must be found
IMPATIENT: dict[str, Any] = {"probe_interval": 0.2, "probe_timeout": 1.0, "publish_timeout": 5.0}


@asynccontextmanager
async def layer_on(url: str, **config: Any) -> AsyncIterator[ShardedChannelLayer]:
    layer = ShardedChannelLayer(
        hosts=[url], on_disconnect="server.lost", on_reconnect="server.back", **config
    )
    try:
        yield layer
    finally:
        await layer.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A server for one test."""
    with EmbeddedValkey(directory=tmp_path) as valkey:
        yield valkey


async def join(layer: ShardedChannelLayer) -> RecordingSink:
    sink = RecordingSink()
    (await (await layer.node()).join(ROOM, sink)).release()
    return sink


def received(sink: RecordingSink) -> list[object]:
    pushes = map(orjson.loads, sink.texts)
    return ["reset" if "reset" in push else push["data"] for push in pushes]


async def is_told(layer: ShardedChannelLayer, channel: str) -> Any:
    async with asyncio.timeout(LIMIT):
        return (await layer.receive(channel))["type"]


async def ears(server: EmbeddedValkey) -> set[str]:
    """Return the ids of the connections that hear."""
    async with Redis.from_url(server.url) as redis:
        return {entry["id"] for entry in await redis.client_list(_type="pubsub")}


@pytest.mark.parametrize(
    ("to_server", "to_client"), [(False, True), (True, True), (True, False)], ids=str
)
async def test_connection_whose_packets_vanish(
    server: EmbeddedValkey, to_server: bool, to_client: bool
) -> None:
    """Whichever way they vanish, it is found, and what was published meanwhile arrives."""
    async with (
        LossyProxy(server.port) as proxy,
        layer_on(proxy.url, **IMPATIENT) as layer,
        layer_on(server.url) as other,
    ):
        channel = await layer.new_channel()
        sink = await join(layer)
        await other.publish(ROOM, b"1")
        await until(lambda: received(sink) == [1])
        proxy.swallow(to_server=to_server, to_client=to_client)
        await other.publish(ROOM, b"2")
        assert await is_told(layer, channel) == "server.lost"
        await other.publish(ROOM, b"3")
        assert await is_told(layer, channel) == "server.back"
        await other.publish(ROOM, b"4")
        await until(lambda: len(sink.texts) >= 4)
        assert received(sink) == [1, 2, 3, 4]


async def test_server_that_hangs(server: EmbeddedValkey) -> None:
    """A server stopped by a signal is found while it is stopped, and heard when it goes on."""
    async with layer_on(server.url, **IMPATIENT) as layer:
        channel = await layer.new_channel()
        sink = await join(layer)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            assert await is_told(layer, channel) == "server.lost"
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert await is_told(layer, channel) == "server.back"
        await layer.publish(ROOM, b"1")
        await until(lambda: received(sink) == [1])


async def test_connection_that_the_server_ends(server: EmbeddedValkey) -> None:
    """After a CLIENT KILL the connection is made again, and nothing is missing."""
    async with layer_on(server.url) as layer, layer_on(server.url) as other:
        channel = await layer.new_channel()
        sink = await join(layer)
        async with Redis.from_url(server.url) as redis:
            await redis.client_kill_filter(_type="pubsub")
        await other.publish(ROOM, b"1")
        assert await is_told(layer, channel) == "server.lost"
        assert await is_told(layer, channel) == "server.back"
        await other.publish(ROOM, b"2")
        await until(lambda: received(sink) == [1, 2])


async def test_silence_is_not_deafness(server: EmbeddedValkey) -> None:
    """A connection that has nothing to hear stays; one small message now and then says so."""
    async with layer_on(server.url, probe_interval=0.1) as layer:
        node = await layer.node()
        await join(layer)
        before = await ears(server)
        inbox = ShardKeys(hash_tags(PREFIX, SHARDS)[0]).inbox(node.id)
        async with Redis.from_url(server.url) as redis, redis.pubsub() as pubsub:
            await pubsub.ssubscribe(inbox)
            probes: list[list[wire.Entry]] = []
            async with asyncio.timeout(LIMIT):
                while len(probes) < 5:
                    message = await pubsub.get_message(timeout=1.0)
                    if message is not None and message["type"] == "smessage":
                        probes.append(wire.unpack_batch(message["data"]))
        assert {tuple(probe) for probe in probes} == {
            (wire.Entry(wire.Kind.PROBE, node.id, b"", 0, ""),)
        }
        assert before <= await ears(server)
        assert layer.stats()["broken_batches"] == 0


async def test_what_hears_is_not_probed(server: EmbeddedValkey) -> None:
    """While publications come in no message is spent on finding out whether they do."""
    async with layer_on(server.url, probe_interval=2.5) as layer:
        node = await layer.node()
        sink = await join(layer)
        inbox = ShardKeys(hash_tags(PREFIX, SHARDS)[0]).inbox(node.id)
        async with Redis.from_url(server.url) as redis, redis.pubsub() as pubsub:
            await pubsub.ssubscribe(inbox)
            ends = time.monotonic() + 6.0
            while time.monotonic() < ends:
                await layer.publish(ROOM, b"1")
                await asyncio.sleep(0.01)
            heard = []
            while (message := await pubsub.get_message(timeout=0.1)) is not None:
                if message["type"] == "smessage":
                    heard += wire.unpack_batch(message["data"])
        assert not [entry for entry in heard if entry.kind == wire.Kind.PROBE]
        assert sink.texts


async def test_process_that_was_held_up_keeps_its_connections(server: EmbeddedValkey) -> None:
    """A loop that stands still for longer than a probe may take has not gone deaf."""
    async with layer_on(server.url, probe_interval=0.1, probe_timeout=3.0) as layer:
        await join(layer)
        before = await ears(server)
        for turn in range(3):
            await asyncio.sleep(0.03 * turn)  # so that it is in another step each time
            time.sleep(3.2)  # noqa: ASYNC251 (it is to stand still)
        await asyncio.sleep(3.3)  # in which a connection would be replaced
        assert await ears(server) == before


async def test_what_takes_long_to_hand_out_is_heard_meanwhile(
    server: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection of which one read keeps this process busy for long has not gone deaf."""
    taken = 0
    arrived = Node.arrived

    def take_slowly(node: Node, shard: int, batch: bytes) -> None:
        nonlocal taken
        taken += 1
        time.sleep(TURN)
        arrived(node, shard, batch)

    monkeypatch.setattr(Node, "arrived", take_slowly)
    async with layer_on(server.url, probe_interval=0.05, probe_timeout=3.0) as layer:
        node = await layer.node()
        await join(layer)
        before = await ears(server)
        inbox = ShardKeys(hash_tags(PREFIX, SHARDS)[0]).inbox(node.id)
        batch = wire.pack_order(wire.Kind.WAKE_UP, node.id)
        with BlockingRedis.from_url(server.url) as redis:  # so that all of it comes in one read
            for _ in range(BATCHES):
                redis.execute_command("SPUBLISH", inbox, batch)
        await until(lambda: taken >= BATCHES)
        assert await ears(server) == before


class Provider(CredentialProvider):
    """Provides a password as those of clouds do, and raises what it is told to, once each."""

    def __init__(self) -> None:
        self.raises: list[BaseException] = []
        self.asked = 0

    def get_credentials(self) -> tuple[str, str]:
        """Return user and password."""
        return "layer", "lizard"

    async def get_credentials_async(self) -> tuple[str, str]:
        """Return user and password, or raise what is due."""
        self.asked += 1
        if self.raises:
            raise self.raises.pop()
        return self.get_credentials()


@pytest.mark.parametrize(
    "error", [PermissionError(), RuntimeError("token"), LookupError(), asyncio.CancelledError()]
)
async def test_credentials_that_can_not_be_had_once(tmp_path: Path, error: BaseException) -> None:
    """Whatever the provider raises while connections are made again, the next try is made."""
    provider = Provider()
    options = ("--user", "layer", "on", ">lizard", "~*", "&*", "+@all")
    with EmbeddedValkey(directory=tmp_path, options=options) as server:
        host = {"address": server.url, "credential_provider": provider}
        layer = ShardedChannelLayer(hosts=[host], publish_timeout=5.0)
        async with layer_on(server.url) as other:
            sink = await join(layer)
            provider.raises = [error, error]
            async with Redis.from_url(server.url) as redis:
                await redis.client_kill_filter(_type="pubsub")
            await until(lambda: not provider.raises)
            await other.publish(ROOM, b"1")
            await until(lambda: received(sink) == [1])
            # And for commands, too.
            async with Redis.from_url(server.url) as redis:
                await redis.client_kill_filter(_type="normal", skipme=True)
            provider.raises = [error]
            assert await layer.publish(ROOM, b"2") is not None
            await until(lambda: received(sink) == [1, 2])
        assert layer.failing_tasks == []
        await layer.close()


async def test_what_a_listener_raises_ends_no_subscription(
    server: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of our own, at whatever point, is logged with its traceback, and hearing goes on."""
    errors = {"resumed": 2, "lost": 1, "arrived": 1}

    def faulty(name: str) -> Any:
        original = getattr(Node, name)

        def call(*arguments: Any) -> None:
            if errors[name]:
                errors[name] -= 1
                raise LookupError(f"made up in {name}")
            original(*arguments)

        return call

    for name in errors:
        monkeypatch.setattr(Node, name, faulty(name))
    async with layer_on(server.url) as layer, layer_on(server.url) as other:
        node = await layer.node()
        sink = RecordingSink()
        (await node.join(ROOM, sink)).release()
        await other.publish(ROOM, b"1")
        await until(lambda: not any(errors.values()))
        await until(lambda: received(sink) == [1])
        await until(lambda: not layer.unheard_servers)
        await other.publish(ROOM, b"2")
        await until(lambda: received(sink) == [1, 2])
    for name in ("resumed", "lost", "arrived"):
        assert f"made up in {name}" in caplog.text


async def test_probe_that_raises_is_tried_again(
    server: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else would notice that a connection is deaf."""
    broken = True
    execute = CommandLink.execute

    async def maybe(link: CommandLink, *command: Any) -> Any:
        if broken and command[0] == "SPUBLISH":
            raise LookupError("made up")
        return await execute(link, *command)

    monkeypatch.setattr(CommandLink, "execute", maybe)
    async with (
        LossyProxy(server.port) as proxy,
        layer_on(proxy.url, **IMPATIENT) as layer,
        layer_on(server.url) as other,
    ):
        sink = await join(layer)
        await until(lambda: any(name.startswith("probe") for name in layer.failing_tasks))
        assert layer.stats()["failing_tasks"] == 1
        broken = False
        proxy.swallow(to_server=True, to_client=True)
        await other.publish(ROOM, b"1")
        await until(lambda: received(sink) == [1], within=LIMIT)


async def test_server_that_can_not_be_heard_is_named(server: EmbeddedValkey) -> None:
    """While commands may be answered: `ping()` alone would say that all is well."""
    async with LossyProxy(server.port) as proxy, layer_on(proxy.url, **IMPATIENT) as layer:
        assert layer.unheard_servers == []
        await join(layer)
        assert layer.unheard_servers == []
        assert layer.stats()["unheard_servers"] == 0
        proxy.refuse_subscribers = True
        async with Redis.from_url(server.url) as redis:
            await redis.client_kill_filter(_type="pubsub")
        await until(lambda: layer.unheard_servers == [proxy.url])
        assert layer.stats()["unheard_servers"] == 1
        assert all(isinstance(answer, float) for answer in (await layer.ping()).values())
        proxy.refuse_subscribers = False
        await until(lambda: not layer.unheard_servers)
