"""Bad records are kept beside their topic, and sent to it again when somebody asks."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from realtime.kafka.brokers import Brokers, make_topic
from realtime.kafka.deadletters import DeadLetters, Letter
from realtime.kafka.letters.filed_letters import Filed
from realtime.kafka.letters.postbox import Postbox, Replayed
from realtime.kafka.reading.size_limits import Limits
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import APACHE, ApacheKafka
from tests.realtime.kafka.bad import records_in, write_bad
from tests.realtime.kafka.numbered import arrived, committed, expected, produce, published
from tests.realtime.kafka.pools import Pools
from tests.realtime.kafka.topics import remove_topic
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.kafka

SUFFIX = ".dlq"


@pytest.fixture
def postbox(brokers: Brokers, topic: str, pools: Pools) -> Postbox:
    """The dead letters of this topic."""
    return Postbox(brokers=brokers, topics=[topic], suffix=SUFFIX, group=pools.group)


async def letters(postbox: Postbox) -> list[Filed]:
    """Return all that it has."""
    return [item async for item in postbox.letters()]


async def test_bad_records_are_kept_in_order(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """All of a bad record is in the other topic before it is committed; the good ones go on."""
    await write_bad(brokers, topic, start=0, count=6)
    await produce(brokers, topic, 0, 20)
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        await producer.send_and_wait(topic, None, key=b"room.1", partition=2)
    async with pools.running():
        await arrived(redis_layer, 20)
        found = await records_in(brokers, topic + SUFFIX, 7)
        await until(lambda: pools.have_committed(27), PATIENCE)
    assert await published(redis_layer) == expected(20)
    assert await committed(brokers, topic, pools.group) == 27
    for partition in (0, 1):
        read = [Letter.read(record) for record in found[partition]]
        assert [letter.value for letter in read] == [b"bad %d" % n for n in range(partition, 6, 2)]
        assert [letter.offset for letter in read] == [0, 1, 2]
        assert {letter.key for letter in read} == {b"room.0"}
        assert [letter.headers for letter in read] == [
            (("trace", b"t%d" % n),) for n in range(partition, 6, 2)
        ]
        assert all(letter.error.startswith("not JSON") for letter in read)
    [empty] = [Letter.read(record) for record in found[2]]
    assert (empty.value, empty.error) == (None, "no payload")


async def test_letters_are_switched_off(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """Without a suffix bad records are skipped, counted, and committed."""
    pools.dead_letter_suffix = None
    await write_bad(brokers, topic, start=0, count=2)
    async with pools.running() as pool:
        await until(lambda: pool.skipped.total == 2)
        await until(lambda: pools.have_committed(2), PATIENCE)
    assert await committed(brokers, topic, pools.group) == 2


async def test_replay_sends_each_letter_once(
    brokers: Brokers, topic: str, pools: Pools, postbox: Postbox
) -> None:
    """A letter becomes its record again; what was replayed is not replayed again."""
    await write_bad(brokers, topic, start=0, count=4)
    async with pools.running():
        await records_in(brokers, topic + SUFFIX, 4)
    assert [item.replayed for item in await letters(postbox)] == [False] * 4

    assert await postbox.replay(limit=3) == Replayed(sent=3, left=1)
    assert [item.replayed for item in await letters(postbox)].count(True) == 3
    assert await postbox.replay() == Replayed(sent=1)
    assert await postbox.replay() == Replayed()

    found = await records_in(brokers, topic, 8)
    for partition in (0, 1):
        first, again = found[partition][:2], found[partition][2:]
        assert [(record.key, record.value, record.headers) for record in again] == [
            (record.key, record.value, record.headers) for record in first
        ]


async def test_what_fails_again_is_another_letter(
    brokers: Brokers, topic: str, pools: Pools, postbox: Postbox
) -> None:
    """A replay beside a running pool ends, although its records come back as letters."""
    await write_bad(brokers, topic, start=0, count=2)
    async with pools.running():
        await records_in(brokers, topic + SUFFIX, 2)
        assert (await postbox.replay()).sent == 2
        await records_in(brokers, topic + SUFFIX, 4)
    origins = [item.letter.offset for item in await letters(postbox) if item.letter]
    assert sorted(origins) == [0, 0, 1, 1]


async def test_repeats_and_strangers(
    brokers: Brokers, topic: str, pools: Pools, postbox: Postbox
) -> None:
    """A letter written twice, after a crash, is sent once; what is no letter is passed over."""
    await write_bad(brokers, topic, start=0, count=1)
    async with pools.running():
        found = await records_in(brokers, topic + SUFFIX, 1)
    [record] = found[0]
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        for headers in (list(record.headers), []):
            await producer.send_and_wait(
                topic + SUFFIX, record.value, key=record.key, headers=headers, partition=0
            )
    assert await postbox.replay() == Replayed(sent=1, repeats=1, strangers=1)


async def test_without_letters(postbox: Postbox) -> None:
    """A topic that never had a bad record has nothing to show or send."""
    assert await letters(postbox) == []
    assert await postbox.replay() == Replayed()


@pytest.mark.parametrize("any_kafka", [pytest.param("apache_kafka", marks=APACHE)], indirect=True)
async def test_pool_waits_for_the_topic_of_letters(
    brokers: Brokers, topic: str, pools: Pools, caplog: pytest.LogCaptureFixture
) -> None:
    """A bad record is not committed before its letter is written; the stop does not wait for it."""
    pools.dead_letter_suffix = "/no topic can have this name"
    await write_bad(brokers, topic, start=0, count=1)
    async with pools.running():
        refused = "The topic of dead letters: "
        await until(lambda: refused in caplog.text, within=PATIENCE)
    assert "has a name that can't be" in caplog.text
    assert await committed(brokers, topic, pools.group) == 0

    pools.dead_letter_suffix = SUFFIX
    async with pools.running():
        await records_in(brokers, topic + SUFFIX, 1)
        await until(lambda: pools.have_committed(1), PATIENCE)
    assert await committed(brokers, topic, pools.group) == 1


@pytest.mark.parametrize("any_kafka", [pytest.param("apache_kafka", marks=APACHE)], indirect=True)
@pytest.mark.parametrize("made_with", [0, 1])
async def test_topic_of_letters_that_was_removed(
    brokers: Brokers, topic: str, any_kafka: ApacheKafka, made_with: int
) -> None:
    """Who writes the next letter makes it again, or takes it as somebody else made it."""

    def letter(offset: int) -> Letter:
        return Letter(
            topic=topic, partition=1, offset=offset, error="bad", key=b"k", value=b"v", headers=()
        )

    impatient = replace(brokers, options={"request_timeout_ms": 5_000})  # the default is 40 s
    deadletters = DeadLetters(impatient, suffix=SUFFIX, limit=Limits().letter)
    try:
        await deadletters.write([letter(7)])
        await remove_topic(brokers, topic + SUFFIX)
        if made_with:
            again = topic + SUFFIX
            await asyncio.to_thread(any_kafka.create_topic, again, partitions=made_with)
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(KafkaError):  # until the producer knows that it was removed
                    await deadletters.write([letter(8)])
                    break
    finally:
        await deadletters.aclose()
    found = await records_in(brokers, topic + SUFFIX, 1)
    assert [(where, [record.value for record in one]) for where, one in found.items()] == [
        (0 if made_with else 1, [b"v"])
    ]


@pytest.mark.parametrize("any_kafka", [pytest.param("apache_kafka", marks=APACHE)], indirect=True)
async def test_topic_of_somebody_else_takes_less(
    brokers: Brokers, topic: str, pools: Pools, caplog: pytest.LogCaptureFixture
) -> None:
    """Letters that it takes alone but not together are whole; others keep what it takes."""
    pools.limits = Limits(payload=10)
    await make_topic(
        brokers, topic + SUFFIX, partitions=1, configs={"max.message.bytes": str(2_000)}
    )
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        sent = [
            await producer.send(topic, b"%d" % n * 700, key=b"k", partition=0) for n in range(6)
        ]
        sent.append(await producer.send(topic, b"x" * 3_000, key=b"k", partition=0))
        sent.append(
            await producer.send(
                topic, b"1" * 20, key=b"k" * 3_000, partition=0, headers=[("a", b"b")]
            )
        )
        await asyncio.gather(*sent)
    async with pools.running():
        found = await records_in(brokers, topic + SUFFIX, 8)
        await until(lambda: pools.have_committed(8), PATIENCE)
    letters = sorted(map(Letter.read, found[0]), key=lambda letter: letter.offset)
    assert [letter.value for letter in letters[:6]] == [b"%d" % n * 700 for n in range(6)]
    assert [(letter.key, letter.value) for letter in letters[6:]] == [(b"k", b""), (None, b"")]
    assert letters[7].headers == ()
    assert caplog.text.count("is too large for its topic: kept without payload") == 2
    assert await committed(brokers, topic, pools.group) == 8


@pytest.mark.parametrize("any_kafka", [pytest.param("apache_kafka", marks=APACHE)], indirect=True)
async def test_topic_that_takes_nothing_is_waited_for(
    brokers: Brokers, topic: str, pools: Pools, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is lost; it is said what to do."""
    await make_topic(brokers, topic + SUFFIX, partitions=1, configs={"max.message.bytes": str(50)})
    await write_bad(brokers, topic, start=0, count=1)
    async with pools.running():
        await until(lambda: "let the topic of dead letters take more" in caplog.text, PATIENCE)
    assert await committed(brokers, topic, pools.group) == 0
