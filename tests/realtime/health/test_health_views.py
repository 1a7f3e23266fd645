"""The health checks, asked as Django serves them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import AsyncClient
from pytest_django import Settings
from redis.asyncio import Redis

from benchmarks.faults.proxy import LossyProxy
from demo.embedded import EmbeddedValkey, free_port
from realtime.health.redis_look import redis_look
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardedChannelLayer
from tests.realtime.conftest import channel_layers
from tests.waiting import PATIENCE, PAUSE, until

PATIENT = {"CHECK_TIMEOUT": 20.0}  # a server that is well answers, however busy the machine
LOOK = "look at Redis"  # the task's name
SLACK = 8.0  # seconds that a busy machine takes beside what is waited for


async def test_live_asks_nobody(settings: Settings) -> None:
    """The process lives, whatever Redis does; the answer is not cached."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[f"redis://127.0.0.1:{free_port()}"])
    response = await AsyncClient().get("/health/live")
    assert (response.status_code, response.json()) == (200, {"status": "live"})
    assert "no-store" in response["Cache-Control"]


async def test_ready_with_redis(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """With Redis there it is ready, and says how fast Redis answers."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    settings.REALTIME = PATIENT
    response = await AsyncClient().get("/health/ready")
    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "ready"
    [milliseconds] = body["redis_ms"].values()
    assert 0 < milliseconds < 20_000
    assert body["reasons"] == []


@pytest.mark.parametrize("listens", [False, True], ids=["idle", "listening"])
@pytest.mark.parametrize("cluster", [False, True], ids=["server", "cluster"])
async def test_not_ready_without_redis(settings: Settings, *, cluster: bool, listens: bool) -> None:
    """Without Redis it is not ready, names the server and not its password."""
    port = free_port()
    hosts = [f"redis://:secret@127.0.0.1:{port}"]
    settings.CHANNEL_LAYERS = channel_layers(hosts=hosts, cluster=cluster, publish_timeout=3.0)
    if listens:
        await sharded_layer().node()
    response = await AsyncClient().get("/health/ready")
    assert response.status_code == 503
    [reason] = response.json()["reasons"]
    assert str(port) in reason
    assert "secret" not in reason
    await sharded_layer().close()


@pytest.fixture
def two_servers(tmp_path: Path) -> Iterator[list[EmbeddedValkey]]:
    """Two running servers, which a test may stop or freeze."""
    servers = [EmbeddedValkey(directory=tmp_path / name) for name in ("a", "b")]
    with servers[0], servers[1]:
        yield servers
        for server in servers:
            if server.pid is not None:
                os.kill(server.pid, signal.SIGCONT)


def layers_of(servers: list[EmbeddedValkey], **config: Any) -> dict[str, dict[str, Any]]:
    """Return a CHANNEL_LAYERS setting with these servers."""
    return channel_layers(hosts=[server.url for server in servers], **config)


@pytest.mark.parametrize(
    ("share", "of_one", "of_two"), [(None, 200, 503), (0, 503, 503), (0.5, 200, 503), (1, 200, 200)]
)
async def test_some_dead_servers_degrade(
    settings: Settings,
    two_servers: list[EmbeddedValkey],
    share: float | None,
    of_one: int,
    of_two: int,
) -> None:
    """A dead server takes no worker out of service until they are more than a share of all."""
    settings.CHANNEL_LAYERS = layers_of(two_servers)
    settings.REALTIME = PATIENT | ({} if share is None else {"READY_DEAD_SHARE": share})
    assert (await AsyncClient().get("/health/ready")).json()["status"] == "ready"
    for dead, status in enumerate([of_one, of_two], start=1):
        two_servers[dead - 1].stop()
        reasons = 0
        while reasons < dead:  # what was found a moment ago may be told meanwhile
            response = await AsyncClient().get("/health/ready")
            body = response.json()
            reasons = len(body["reasons"])
        assert response.status_code == status
        assert body["status"] == ("degraded" if status == 200 else "not ready")
        assert reasons == dead
        assert body["degraded"] == [reason.split(": ")[0] for reason in body["reasons"]]
        assert len(body["redis_ms"]) == 2 - dead
        for server in two_servers[:dead]:
            assert sum(server.address in reason for reason in body["reasons"]) == 1
    await sharded_layer().close()


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "not connected"])
async def test_hanging_servers_are_not_waited_for(
    settings: Settings, two_servers: list[EmbeddedValkey], connected: bool
) -> None:
    """A server that answers nothing costs `CHECK_TIMEOUT` at first, as do two, and then nothing."""
    settings.CHANNEL_LAYERS = layers_of(two_servers)
    if connected:
        settings.REALTIME = PATIENT
        assert (await AsyncClient().get("/health/ready")).json()["status"] == "ready"
    settings.REALTIME = {"CHECK_TIMEOUT": 0.3}
    for frozen, expected in ((0, "degraded"), (1, "not ready")):
        freeze(two_servers[frozen])
        began = time.monotonic()
        body = {"status": "unknown"}
        while body["status"] != expected:
            body = (await AsyncClient().get("/health/ready")).json()
        assert time.monotonic() - began < 0.6 + SLACK
        assert all("no answer within 0.3 s" in reason for reason in body["reasons"])
    await sharded_layer().close()


async def test_known_to_hang_is_known_at_once(
    settings: Settings, two_servers: list[EmbeddedValkey]
) -> None:
    """Who asks often waits for no server that hangs, and all who ask share one look."""
    settings.CHANNEL_LAYERS = layers_of(two_servers)
    settings.REALTIME = {"CHECK_TIMEOUT": 5.0}
    look = redis_look()
    freeze(two_servers[0])
    first = await look.answers()
    assert sum(isinstance(answer, str) for answer in first.values()) == 1
    asked, gate = 0, asyncio.Event()

    async def ping(within: float) -> dict[str, float]:
        nonlocal asked
        asked += 1
        await gate.wait()
        return {}

    settings_layer = sharded_layer()
    original, settings_layer.ping = settings_layer.ping, ping  # type: ignore[method-assign,assignment]
    async with asyncio.timeout(PATIENCE):  # the look itself would never end
        answers = await asyncio.gather(*(look.answers() for _ in range(100)))
    gate.set()
    settings_layer.ping = original  # type: ignore[method-assign]
    assert answers == [first] * 100
    assert asked == 1
    await sharded_layer().close()


def freeze(server: EmbeddedValkey) -> None:
    """Have a server answer nothing, and end nothing."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)


async def test_failing_task_is_said(settings: Settings, redis_layer: ShardedChannelLayer) -> None:
    """A long-lived task that fails is named while it does; the worker goes on meanwhile."""
    settings.REALTIME = PATIENT
    await redis_layer.node()
    tasks = redis_layer._engines.own().tasks
    repaired = False

    async def broken() -> None:
        if not repaired:
            raise ValueError("broken")

    task = tasks.repeat(broken, "a broken task", pause=lambda: 0.05, first=0.0)
    await until(lambda: redis_layer.failing_tasks)
    response = await AsyncClient().get("/health/ready")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["reasons"] == ["The task 'a broken task' fails and is tried again."]
    repaired = True
    await until(lambda: not redis_layer.failing_tasks)
    assert (await AsyncClient().get("/health/ready")).json()["status"] == "ready"
    task.cancel()


@pytest.fixture
async def two_proxies(two_servers: list[EmbeddedValkey]) -> AsyncIterator[list[LossyProxy]]:
    """What stands before the two servers, and may refuse those who want to hear."""
    async with LossyProxy(two_servers[0].port) as first, LossyProxy(two_servers[1].port) as second:
        yield [first, second]


@pytest.fixture
async def listening(
    settings: Settings, two_proxies: list[LossyProxy]
) -> AsyncIterator[ShardedChannelLayer]:
    """The default layer, which hears both servers."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[proxy.url for proxy in two_proxies])
    layer = sharded_layer()
    await layer.node()
    await until(lambda: not layer.unheard_servers)
    yield layer
    await layer.close()


async def deafen(proxy: LossyProxy, server: EmbeddedValkey) -> None:
    """Have a server answer commands, and nobody hear it."""
    proxy.refuse_subscribers = True
    async with Redis.from_url(server.url) as redis:
        await redis.client_kill_filter(_type="pubsub")
    await until(lambda: proxy.url in sharded_layer().unheard_servers)


async def test_deaf_worker_is_not_ready(
    listening: ShardedChannelLayer,
    two_servers: list[EmbeddedValkey],
    two_proxies: list[LossyProxy],
) -> None:
    """A server that answers and can't be heard counts as one that is away."""
    expected = {"degraded": 200, "not ready": 503}
    for deaf, (status, code) in enumerate(expected.items(), start=1):
        await deafen(two_proxies[deaf - 1], two_servers[deaf - 1])
        response = await told(status, "could not be heard")
        body = response.json()
        assert (response.status_code, body["status"]) == (code, status)
        unheard = [proxy.url for proxy in two_proxies[:deaf]]
        assert sorted(body["degraded"]) == sorted(unheard)
        assert len(body["reasons"]) == deaf
        for reason in body["reasons"]:
            server, _, why = reason.partition(": ")
            assert server in unheard
            assert "could not be heard" in why
        assert len(body["redis_ms"]) == 2 - deaf
    for proxy in two_proxies:
        proxy.refuse_subscribers = False
    await until(lambda: is_told("ready"))


async def told(status: str, why: str) -> Any:
    """Ask until that is the answer, for that reason alone, and return the response."""
    async with asyncio.timeout(PATIENCE):
        while True:
            response = await AsyncClient().get("/health/ready")
            body = response.json()
            if body["status"] == status and all(why in reason for reason in body["reasons"]):
                return response
            await asyncio.sleep(PAUSE)


async def is_told(status: str) -> bool:
    """Tell whether that is the answer now."""
    body = (await AsyncClient().get("/health/ready")).json()
    return bool(body["status"] == status)


async def test_reconnect_of_a_moment_is_waited_for(
    settings: Settings,
    listening: ShardedChannelLayer,
    two_servers: list[EmbeddedValkey],
    two_proxies: list[LossyProxy],
) -> None:
    """Who is heard again within `CHECK_TIMEOUT` takes no worker out of service."""
    settings.REALTIME = PATIENT
    for proxy, server in zip(two_proxies, two_servers, strict=True):
        await deafen(proxy, server)
    asking = asyncio.create_task(AsyncClient().get("/health/ready"))
    await until(lambda: any(task.get_name() == LOOK for task in asyncio.all_tasks()))
    for proxy in two_proxies:
        proxy.refuse_subscribers = False
    response = await asking
    assert (response.status_code, response.json()["status"]) == (200, "ready")


async def test_dead_server_is_not_waited_for(
    settings: Settings, listening: ShardedChannelLayer, two_servers: list[EmbeddedValkey]
) -> None:
    """One that refuses connections is known at once, though it can't be heard either."""
    settings.REALTIME = PATIENT
    two_servers[0].stop()
    await until(lambda: listening.unheard_servers)
    async with asyncio.timeout(10.0):
        response = await AsyncClient().get("/health/ready")
    [reason] = response.json()["reasons"]
    assert "could not be heard" not in reason


async def test_other_layout_is_not_ready(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """A layer that its servers' data do not fit can serve nobody: it says why."""
    first = ShardedChannelLayer(hosts=[redis_server.url])
    await first.publish("room", b"1")
    await first.close()
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url], shards=8)
    settings.REALTIME = PATIENT
    response = await AsyncClient().get("/health/ready")
    assert response.status_code == 503
    [reason] = response.json()["reasons"]
    assert "holds 32 shards" in reason
    await sharded_layer().close()


async def test_only_reading_is_allowed() -> None:
    """Health is asked with GET or HEAD."""
    assert (await AsyncClient().post("/health/live")).status_code == 405
    assert (await AsyncClient().head("/health/live")).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_alias(path: str, memory_layer: ShardedChannelLayer) -> None:
    """`/health` is what `/health/ready` is."""
    body = (await AsyncClient().get(path)).json()
    assert body["status"] == "ready"
    assert body["degraded"] == body["reasons"] == []
