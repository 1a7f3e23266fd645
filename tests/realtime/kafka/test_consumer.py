"""No record on a real Kafka stops the pool: packed in any way, unreadable, far too large."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult

from realtime.kafka.brokers import Brokers
from realtime.kafka.deadletters import Letter
from realtime.kafka.reading import fetch_pace, unpacking
from realtime.kafka.reading.consumer import Consumer, FetcherEnded
from realtime.kafka.reading.size_limits import Limits
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import APACHE, ApacheKafka
from tests.realtime.kafka.bad import records_in
from tests.realtime.kafka.numbered import committed
from tests.realtime.kafka.pools import Pools
from tests.realtime.kafka.raw import CODECS, LATIN, Raw, write_raw
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.kafka, *APACHE]

MIB = 1024 * 1024
UNPACKING = 90.0  # seconds; computing alone, of which a busy machine does as much as it can


@pytest.fixture
def any_kafka(apache_kafka: ApacheKafka) -> ApacheKafka:
    """A real one."""
    return apache_kafka


async def payloads(layer: ShardedChannelLayer, room: str = "a") -> list[bytes]:
    """Return what a room's history holds."""
    return [item.data for item in await layer.history(room)]


async def has(layer: ShardedChannelLayer, *expected: bytes) -> bool:
    """Say whether the room has that and nothing else."""
    return await payloads(layer) == list(expected)


def numbered(*numbers: int) -> list[Raw]:
    """Return good records for room a."""
    return [Raw(key=b"a", value=b"%d" % number) for number in numbers]


async def test_all_codecs(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """Records that a producer packed are published like others, in their order."""
    expected = []
    for number, codec in enumerate(CODECS):
        arguments = brokers.arguments() | {"compression_type": None if codec == "none" else codec}
        async with AIOKafkaProducer(**arguments, linger_ms=20) as producer:
            sent = [
                await producer.send(topic, b'"%d %s"' % (n, b"x" * 90), key=b"a", partition=0)
                for n in range(number * 50, number * 50 + 50)
            ]
            await asyncio.gather(*sent)
        expected += [b'"%d %s"' % (n, b"x" * 90) for n in range(number * 50, number * 50 + 50)]
    async with pools.running() as pool:
        await until(partial(has, redis_layer, *expected), PATIENCE)
        await until(lambda: pools.have_committed(len(expected)), PATIENCE)
    assert pool.skipped.total == 0
    assert await committed(brokers, topic, pools.group) == len(expected)


async def test_library_that_is_missing(
    brokers: Brokers,
    topic: str,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is said once, with what to do; Kafka is not said to be away; nothing is passed over."""
    await write_raw(brokers, topic, numbered(*range(100)), codec="zstd")
    with monkeypatch.context() as patch:
        patch.setattr(unpacking, "cramjam", None)
        async with pools.running():
            await until(lambda: "pip install 'shardlayer[kafka]'" in caplog.text, PATIENCE)
    assert caplog.text.count("pip install") == 1
    assert "is not available" not in caplog.text
    assert "is back" not in caplog.text
    assert await committed(brokers, topic, pools.group) == 0
    async with pools.running():
        await until(partial(has, redis_layer, *(b"%d" % n for n in range(100))), PATIENCE)


@pytest.mark.parametrize("codec", CODECS)
async def test_header_name_that_is_no_utf8(
    codec: str, brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """Its record is a dead letter with all that could be read; the others are published."""
    bad = Raw(key=b"a", value=b"[1]", headers=[(b"trace", b"t1"), (LATIN, b"x"), (b"n", None)])
    await write_raw(brokers, topic, [*numbered(1, 2), bad, *numbered(3, 4)], codec=codec)
    await write_raw(brokers, topic, [bad])
    await write_raw(brokers, topic, numbered(5))
    async with pools.running() as pool:
        await until(partial(has, redis_layer, *(b"%d" % n for n in range(1, 6))), PATIENCE)
        found = await records_in(brokers, topic + ".dlq", 2)
        await until(lambda: pool.skipped.total == 2)
        await until(lambda: pools.have_committed(7), PATIENCE)
    assert await committed(brokers, topic, pools.group) == 7
    first, second = map(Letter.read, found[0])
    assert (first.offset, second.offset) == (2, 5)
    assert (first.key, first.value) == (b"a", b"[1]")
    assert first.headers == (("trace", b"t1"), (r"caf\xe9", b"x"), ("n", None))
    assert first.error == r"a header's name is no UTF-8: b'caf\xe9'"


async def test_again_at_each_start(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """Pools that start in the middle of such a batch go on where the one before was."""
    bad = Raw(key=b"a", headers=[(LATIN, b"")])
    await write_raw(brokers, topic, [bad, *numbered(*range(600)), bad, *numbered(600)])
    pools.dead_letter_suffix = None
    for _ in range(3):
        async with pools.running():
            await until(lambda: payloads(redis_layer), PATIENCE)
    async with pools.running():
        await until(lambda: _has_last(redis_layer, b"600", 601), PATIENCE)
        await until(lambda: pools.have_committed(603), PATIENCE)
    assert await committed(brokers, topic, pools.group) == 603


async def _has_last(layer: ShardedChannelLayer, data: bytes, count: int) -> bool:
    history = await layer.history("a")
    return bool(history) and (history[-1].data, history[-1].offset) == (data, count)


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd", "snappy"])
async def test_record_that_unpacks_to_too_much(
    codec: str, brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """It is a letter without payload, and what is behind it is published."""
    limit = 1 * MIB
    pools.limits = Limits(payload=1000, unpacked=limit)
    large = Raw(key=b"large", value=b'"%b"' % (b"x" * 3 * limit))
    await write_raw(brokers, topic, [*numbered(1), large], codec=codec)
    await write_raw(brokers, topic, numbered(2), codec=codec)
    async with pools.running():
        await until(partial(has, redis_layer, b"1", b"2"), PATIENCE)
        found = await records_in(brokers, topic + ".dlq", 1)
        await until(lambda: pools.have_committed(3), PATIENCE)
    assert await committed(brokers, topic, pools.group) == 3
    [letter] = map(Letter.read, found[0])
    assert (letter.offset, letter.key, letter.value) == (1, b"large", None)
    assert "a value of 3,145,730 bytes left out" in letter.error


async def test_record_of_more_than_a_letter_may_have(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """Read, but too large to be written anywhere: its letter has no payload."""
    pools.limits = Limits(payload=1000, letter=1 * MIB)
    large = Raw(key=b"large", value=b'"%b"' % (b"x" * 3 * MIB), headers=[(b"trace", b"t")])
    many = Raw(key=b"k" * 2 * MIB, value=b"1", headers=[(b"trace", b"t" * MIB)])
    await write_raw(brokers, topic, [*numbered(1), large, many, *numbered(2)], codec="gzip")
    async with pools.running():
        await until(partial(has, redis_layer, b"1", b"2"), PATIENCE)
        found = await records_in(brokers, topic + ".dlq", 2)
        await until(lambda: pools.have_committed(4), PATIENCE)
    assert await committed(brokers, topic, pools.group) == 4
    first, second = map(Letter.read, found[0])
    assert (first.offset, first.key, first.value) == (1, b"large", b"")
    assert first.headers == (("trace", b"t"),)
    assert first.error.endswith("(payload left out: too large)")
    assert (second.offset, second.key, second.value, second.headers) == (2, None, b"", ())
    assert second.error.endswith("(all else left out: too large)")


async def test_memory_is_bounded(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """Partitions full of what unpacks a thousandfold are not all unpacked at once."""
    limit = 8 * MIB
    pools.limits = Limits(payload=1000, unpacked=limit, letter=1 * MIB)
    pools.dead_letter_suffix = None
    pools.session_timeout = 10_000  # on a busy machine unpacking holds up the loop for a while
    large = Raw(key=b"a", value=b'"%b"' % (b"x" * (limit - MIB)))
    for _ in range(3):
        for partition in range(8):  # 168 MiB, that take 170 KB in Kafka
            await write_raw(brokers, topic, [large], partition=partition, codec="gzip")
    await write_raw(brokers, topic, numbered(1))
    before = _high_water()
    async with pools.running() as pool:
        await until(lambda: pool.skipped.total == 24, UNPACKING)
        await until(partial(has, redis_layer, b"1"), PATIENCE)
    assert _high_water() - before < 10 * limit


def _high_water() -> int:
    """Return the most memory that this process had since this was last asked, in bytes."""
    status = Path("/proc/self/status").read_text()
    found = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")
    return int(found.split()[1]) * 1024


async def test_parts_of_aiokafka(
    brokers: Brokers, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The private parts that the consumer uses are what they were, and a dead fetcher is told."""
    await write_raw(brokers, topic, numbered(1, 2))
    partition = TopicPartition(topic, 0)
    consumer = Consumer(
        **brokers.arguments(),
        max_unpacked=MIB,
        gather=5.0,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    monkeypatch.setattr(fetch_pace, "PER_RECORD", 60.0)
    consumer.assign([partition])
    await consumer.start()
    try:
        assert isinstance(consumer, AIOKafkaConsumer)
        assert consumer._client.send == consumer._send_and_look
        found: list[bytes] = []
        while len(found) < 2:
            for records in (await consumer.fetch([partition], wait=100, most=1)).values():
                assert len(records) == 1
                found += [record.value for record in records]
        assert found == [b"1", b"2"]
        assert consumer.has_fetched
        assert not await consumer.fetch([partition], wait=10, most=1)  # sees that no more is there
        await until(lambda: consumer._pace.waited == 1, PATIENCE)  # behind the two
        assert consumer.reached(partition) == consumer.end(partition) == 2
        assert consumer.reached(TopicPartition(topic, 1)) is None
        assert hasattr(
            FetchResult(partition, assignment=None, partition_records=None, backoff=0),
            "_partition_records",
        )
        consumer._fetcher._fetch_task.cancel()
        await asyncio.wait([consumer._fetcher._fetch_task])
        with pytest.raises(FetcherEnded):
            await consumer.fetch([partition], wait=100, most=1)
    finally:
        await consumer.stop()


async def test_fetch_that_waits_for_partitions(brokers: Brokers, topic: str) -> None:
    """It comes back without records while the group assigns none: nobody may assign any more."""
    consumer = Consumer(**brokers.arguments(), max_unpacked=MIB, group_id=topic)
    consumer.subscribe([topic])
    await consumer.start()
    try:
        partitions = list(consumer.assignment())
        assert partitions
        consumer._subscription.begin_reassignment()
        async with asyncio.timeout(PATIENCE):
            assert await consumer.fetch(partitions, wait=100, most=1) == {}
        # A fetch that aiokafka takes for one under way would end `max_poll_interval_ms` for good.
        assert consumer._subscription._fetch_count == 0
        idle = consumer._subscription.fetcher_idle_time
        await asyncio.sleep(0.05)
        assert consumer._subscription.fetcher_idle_time > idle
    finally:
        await consumer.stop()
