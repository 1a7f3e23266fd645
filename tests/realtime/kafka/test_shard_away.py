"""A shard is away: only what needs it waits, and it is complete when the shard is back."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from realtime.kafka.brokers import Brokers
from realtime.kafka.publishing.partitions import source_of
from realtime.kafka.reading.consumer import Consumer
from realtime.sharded_layer import sharded_layer
from shardlayer import Mark, ShardedChannelLayer, ShardUnavailable
from tests.apache_kafka import APACHE, ApacheKafka
from tests.realtime.conftest import channel_layers
from tests.realtime.kafka.numbered import PARTITIONS, committed
from tests.realtime.kafka.pools import Pools
from tests.realtime.kafka.transactions import write
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.kafka]

RECORDS = 2_500  # of each partition: more than its window

Answer = TypeVar("Answer")


class SecondServer(EmbeddedValkey):
    """A server that may hang."""

    def freeze(self) -> None:
        """Have it stand still."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        self._send(signal.SIGCONT)

    def _send(self, number: int) -> None:
        assert self.pid is not None
        os.kill(self.pid, number)


@pytest.fixture
async def second_server(tmp_path: Path) -> AsyncIterator[SecondServer]:
    """A server beside the shared one; the test may stop or freeze it."""
    server = SecondServer(directory=tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def layer(
    settings: Settings, redis_server: EmbeddedValkey, second_server: SecondServer
) -> AsyncIterator[ShardedChannelLayer]:
    """A layer on both servers: even shards live on the first."""
    settings.CHANNEL_LAYERS = channel_layers(
        hosts=[redis_server.url, second_server.url],
        publish_timeout=0.5,
        history={"*": {"size": 10_000, "ttl": 3600}},
    )
    layer = sharded_layer()
    yield layer
    await layer.close()


@pytest.fixture
def pools(brokers: Brokers, topic: str, layer: ShardedChannelLayer) -> Pools:
    """Pools that publish to both servers."""
    return Pools(brokers=brokers, topic=topic, layer=layer)


@pytest.fixture
def rooms(layer: ShardedChannelLayer) -> list[str]:
    """A room for each partition: the even ones' on the first server, the others' not."""
    names = [f"room.{number}" for number in range(1000)]
    found = []
    for partition in range(PARTITIONS):
        own = (name for name in names if layer.shard_of(name) % 2 == partition % 2)
        found.append(next(name for name in own if name not in found))
    return found


async def produce(brokers: Brokers, topic: str, rooms: list[str], count: int) -> None:
    """Write numbered records, each partition's to its room."""
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        for number in range(count):
            for partition, room in enumerate(rooms):
                await producer.send(topic, b"%d" % number, partition=partition, key=room.encode())
        await producer.flush()


async def answered(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask a server that is there until it answers: just back, or on a busy machine, it is slow."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(ShardUnavailable):
                return await ask()
            await asyncio.sleep(0.05)


async def numbers(layer: ShardedChannelLayer, room: str) -> list[int]:
    """Return what a room's history holds; of long ones, the newest."""
    return [int(item.data) for item in await answered(lambda: layer.history(room))]


async def are_complete(layer: ShardedChannelLayer, rooms: list[str], count: int) -> bool:
    """Say whether each room's last record is there."""
    return all([(await numbers(layer, room))[-1:] == [count - 1] for room in rooms])


async def assert_once(layer: ShardedChannelLayer, rooms: list[str], *counts: int) -> None:
    """Each room has all records of each turn, once, in order."""
    expected = [number for count in counts for number in range(count)]
    for room in rooms:
        found = await answered(lambda: layer.history(room))  # noqa: B023 - asked at once
        assert [int(item.data) for item in found] == expected[-len(found) :]
        assert found[-1].offset == len(expected)


@pytest.fixture
async def ten_published(
    brokers: Brokers, topic: str, layer: ShardedChannelLayer, rooms: list[str], pools: Pools
) -> None:
    """A pool has published ten records of each partition, and has ended."""
    await produce(brokers, topic, rooms, 10)
    async with pools.running():
        await until(lambda: are_complete(layer, rooms, 10), PATIENCE)


@pytest.mark.parametrize("away", ["stopped", "frozen"])
async def test_others_go_on(
    away: str,
    brokers: Brokers,
    topic: str,
    layer: ShardedChannelLayer,
    second_server: SecondServer,
    rooms: list[str],
    pools: Pools,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Partitions that need the dead server stop where it died; all others are published."""
    leave, come_back = {
        "stopped": (second_server.stop, second_server.start),
        "frozen": (second_server.freeze, second_server.thaw),
    }[away]
    alive = rooms[::2]
    await produce(brokers, topic, rooms, 10)
    async with pools.running():
        await until(lambda: are_complete(layer, rooms, 10), PATIENCE)
        await asyncio.to_thread(leave)
        await produce(brokers, topic, rooms, RECORDS)
        await until(lambda: are_complete(layer, alive, RECORDS), PATIENCE)
        await until(lambda: "Redis is not available" in caplog.text)
        assert await committed(brokers, topic, pools.group) <= (
            (10 + RECORDS) * len(alive) + 10 * (PARTITIONS - len(alive))
        )
        await asyncio.to_thread(come_back)
        await until(lambda: are_complete(layer, rooms, RECORDS), PATIENCE)
        await until(lambda: "Redis is back" in caplog.text)
        await until(lambda: pools.have_committed((10 + RECORDS) * PARTITIONS), PATIENCE)
    # Stopped, the server lost what its rooms had.
    await assert_once(layer, alive if away == "stopped" else rooms, 10, RECORDS)
    assert await committed(brokers, topic, pools.group) == (10 + RECORDS) * PARTITIONS


async def test_rebalance_while_it_is_away(
    brokers: Brokers,
    topic: str,
    layer: ShardedChannelLayer,
    second_server: SecondServer,
    rooms: list[str],
    pools: Pools,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Partitions that wait keep waiting, here or in another pool; the others go on in both."""
    caplog.set_level(logging.INFO, "realtime")
    alive = rooms[::2]
    count = (10 + 300 + RECORDS) * PARTITIONS
    await produce(brokers, topic, rooms, 10)
    async with pools.running():
        await until(lambda: are_complete(layer, rooms, 10), PATIENCE)
        second_server.freeze()
        await produce(brokers, topic, rooms, 300)
        await until(lambda: "Redis is not available" in caplog.text, within=PATIENCE)
        async with pools.running():
            await until(lambda: caplog.text.count("Reading 4 partition(s)") >= 2, within=PATIENCE)
            await produce(brokers, topic, rooms, RECORDS)
            await until(lambda: are_complete(layer, alive, RECORDS), PATIENCE)
            second_server.thaw()
            await until(lambda: are_complete(layer, rooms, RECORDS), PATIENCE)
            await until(lambda: pools.have_committed(count), PATIENCE)
    await assert_once(layer, rooms, 10, 300, RECORDS)
    assert await committed(brokers, topic, pools.group) == count


@pytest.mark.usefixtures("ten_published")
async def test_start_while_it_is_away(
    brokers: Brokers,
    topic: str,
    layer: ShardedChannelLayer,
    second_server: SecondServer,
    rooms: list[str],
    pools: Pools,
) -> None:
    """A pool whose marks can't all be asked for goes on where it had committed."""
    alive = rooms[::2]
    second_server.freeze()
    async with pools.running():
        await produce(brokers, topic, rooms, 100)
        await until(lambda: are_complete(layer, alive, 100), PATIENCE)
        second_server.thaw()
        await until(lambda: are_complete(layer, rooms, 100), PATIENCE)
    await assert_once(layer, rooms, 10, 100)


@pytest.mark.usefixtures("ten_published")
@pytest.mark.parametrize("late", [4, 60], ids=["backward", "forward"])
async def test_start_while_it_is_away_and_a_commit_comes_late(
    late: int,
    brokers: Brokers,
    topic: str,
    layer: ShardedChannelLayer,
    second_server: SecondServer,
    rooms: list[str],
    pools: Pools,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One of before, which lands after the pool asked where to begin, holds no partition."""
    alive = rooms[::2]
    second_server.freeze()
    await produce(brokers, topic, rooms, 100)
    moved = set()
    committed = Consumer.committed

    async def committed_meanwhile(self: Consumer, partition: TopicPartition) -> int | None:
        moved.add(partition)
        await self.commit({partition: (late, "")})
        found: int | None = await committed(self, partition)
        return found

    monkeypatch.setattr(Consumer, "committed", committed_meanwhile)
    async with pools.running():
        await until(lambda: are_complete(layer, alive, 100), PATIENCE)
        assert moved >= {TopicPartition(topic, number) for number in range(0, PARTITIONS, 2)}
        second_server.thaw()
        await until(lambda: are_complete(layer, rooms, 100), PATIENCE)
    await assert_once(layer, rooms, 10, 100)


async def test_new_topic_waits_for_its_marks(
    brokers: Brokers,
    topic: str,
    layer: ShardedChannelLayer,
    second_server: SecondServer,
    rooms: list[str],
    pools: Pools,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where nothing was committed nothing is published before all shards told their marks."""
    await produce(brokers, topic, rooms, 10)
    second_server.freeze()
    async with pools.running():
        await until(lambda: "Redis is not available" in caplog.text, within=PATIENCE)
        assert [await numbers(layer, room) for room in rooms[::2]] == [[]] * (PARTITIONS // 2)
        second_server.thaw()
        await until(lambda: are_complete(layer, rooms, 10), PATIENCE)
    await assert_once(layer, rooms, 10)


@pytest.mark.parametrize("any_kafka", [pytest.param("apache_kafka", marks=APACHE)], indirect=True)
async def test_aborted_transaction_in_a_log_that_lost_its_records(
    any_kafka: ApacheKafka,
    brokers: Brokers,
    topic: str,
    layer: ShardedChannelLayer,
    redis_server: EmbeddedValkey,
    second_server: SecondServer,
    pools: Pools,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To have passed over it does not show that the log is that of the marks.

    What the group had committed says that it is not; so it stays until the marks are known.
    """
    partition = TopicPartition(topic, 0)
    room, other = "a", next(name for name in "bcdef" if layer.shard_of(name) % 2)
    assert layer.shard_of(room) % 2 == 0  # on the server that answers
    arguments = {"group_id": pools.group, "enable_auto_commit": False, **brokers.arguments()}
    async with Consumer(max_unpacked=1, **arguments) as before:
        before.assign([partition])
        await before.commit({partition: (1_000, "")})
        source = source_of(partition, (await before.topic_ids([topic]))[topic])
    marked = [(room, b"0", Mark(source, 999)), (other, b"0", Mark(source, 998))]
    await answered(lambda: layer.publish_marked(marked))
    second_server.freeze()
    positions: list[int | None] = []
    reached = Consumer.reached

    def reached_after_its_reset(self: Consumer, asked: TopicPartition) -> int | None:
        found = reached(self, asked)
        if asked != partition or found in (
            None,
            1_000,
        ):  # before Kafka has said that this is too far
            return None
        positions.append(found)
        return found

    monkeypatch.setattr(Consumer, "reached", reached_after_its_reset)
    async with pools.running() as pool:
        await until(lambda: 0 in positions, PATIENCE)
        await write(brokers, topic, b"1", b"2", abort=True)
        await until(lambda: positions.count(3) >= 3, PATIENCE)
        await write(brokers, topic, b"3")
        await until(lambda: pool.paused() or positions[-1] != 3, PATIENCE)
        second_server.thaw()
        await until(lambda: _has(layer, room, 0, 3), PATIENCE)


async def _has(layer: ShardedChannelLayer, room: str, *expected: int) -> bool:
    return await numbers(layer, room) == list(expected)
