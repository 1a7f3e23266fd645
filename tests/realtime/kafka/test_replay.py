"""Dead letters are sent again once, one or all of them, whatever is killed in between."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from realtime.kafka.brokers import Brokers
from realtime.kafka.deadletters import Letter
from realtime.kafka.letters import postbox as postbox_module
from realtime.kafka.letters.postbox import NoSuchLetter, Postbox, Replayed
from realtime.kafka.letters.resending import LetterSender
from realtime.kafka.letters.sent_offsets import SentOffsets
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import APACHE, ApacheKafka
from tests.realtime.kafka.bad import records_in
from tests.realtime.kafka.pools import Pools
from tests.realtime.kafka.written_letters import SUFFIX, letter, write_letters
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.kafka

ON_APACHE = pytest.mark.parametrize(
    "any_kafka", [pytest.param("apache_kafka", marks=APACHE)], indirect=True
)


@pytest.fixture
def postbox(brokers: Brokers, topic: str, pools: Pools) -> Postbox:
    """The dead letters of this topic."""
    return Postbox(brokers=brokers, topics=[topic], suffix=SUFFIX, group=pools.group)


@pytest.fixture
def at(topic: str) -> TopicPartition:
    """The first partition of the dead letters."""
    return TopicPartition(topic + SUFFIX, 0)


async def sent(brokers: Brokers, topic: str) -> list[bytes]:
    """Return the traces of the records that are there for who reads what is committed."""
    found: list[bytes] = []
    async with AIOKafkaConsumer(
        **brokers.arguments(),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
    ) as consumer:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        async with asyncio.timeout(PATIENCE):
            while (end := consumer.highwater(partition)) is None or (
                await consumer.position(partition) < end
            ):
                for records in (await consumer.getmany(timeout_ms=50)).values():
                    found += [dict(record.headers)["trace"] for record in records]
    return found


@ON_APACHE
async def test_one_is_sent_once(
    brokers: Brokers, topic: str, postbox: Postbox, at: TopicPartition
) -> None:
    """One that was sent is not sent again, neither alone nor with all."""
    await write_letters(brokers, [letter(topic, n) for n in range(4)])
    assert await postbox.replay_one(at, 2)
    assert not await postbox.replay_one(at, 2)
    assert await sent(brokers, topic) == [b"t2"]
    assert await postbox.replay() == Replayed(sent=3)
    assert not await postbox.replay_one(at, 0)
    assert await sent(brokers, topic) == [b"t2", b"t0", b"t1", b"t3"]


async def test_one_is_sent_once_in_order(
    brokers: Brokers, topic: str, postbox: Postbox, at: TopicPartition, any_kafka: object
) -> None:
    """The first that waits is sent alone on any broker, others where it can note that."""
    await write_letters(brokers, [letter(topic, n) for n in range(3)])
    if not isinstance(any_kafka, ApacheKafka):
        with pytest.raises(ValueError, match="send all of them"):
            await postbox.replay_one(at, 1)
    assert await postbox.replay_one(at, 0)
    assert not await postbox.replay_one(at, 0)
    assert await sent(brokers, topic) == [b"t0"]
    assert await postbox.replay() == Replayed(sent=2)
    assert await sent(brokers, topic) == [b"t0", b"t1", b"t2"]


async def test_what_is_not_there_is_not_sent(
    brokers: Brokers, topic: str, postbox: Postbox, at: TopicPartition
) -> None:
    """A place without a letter is refused: no offset, no partition, no letter."""
    await write_letters(brokers, [letter(topic, 0)])
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        await producer.send_and_wait(at.topic, b"x", partition=0)
        forged = letter("secrets", 5).all_headers()
        await producer.send_and_wait(at.topic, b"x", partition=0, headers=forged)
    for place, offset in ((at, 1), (at, 2), (at, 3), (TopicPartition(at.topic, 99), 0)):
        with pytest.raises(NoSuchLetter):
            await postbox.replay_one(place, offset)
    assert await postbox.replay() == Replayed(sent=1, strangers=2)


@ON_APACHE
@pytest.mark.parametrize("first", [0, 2])
async def test_repeats_are_sent_once_over_several_replays(
    brokers: Brokers, topic: str, postbox: Postbox, at: TopicPartition, first: int
) -> None:
    """A letter that was written twice is sent once, whichever of the two is sent first."""
    await write_letters(brokers, [letter(topic, n) for n in (7, 8, 7)])
    assert await postbox.replay_one(at, first)
    assert not await postbox.replay_one(at, 2 - first)
    assert await postbox.replay() == Replayed(sent=1)
    assert await sent(brokers, topic) == [b"t7", b"t8"]


@ON_APACHE
async def test_repeats_are_known_to_the_replay_of_all(
    brokers: Brokers, topic: str, postbox: Postbox, at: TopicPartition
) -> None:
    """What one replay sent, alone or with others, the next knows when it meets it again."""
    await write_letters(brokers, [letter(topic, n) for n in (1, 2, 3, 1, 2, 3)])
    assert await postbox.replay(limit=1) == Replayed(sent=1, left=5)
    assert await postbox.replay_one(at, 5)
    assert await postbox.replay() == Replayed(sent=1, repeats=3)
    assert await sent(brokers, topic) == [b"t1", b"t3", b"t2"]


async def test_same_place_with_other_bytes_is_no_repeat(
    brokers: Brokers, topic: str, postbox: Postbox
) -> None:
    """A topic that was made again has records of the same offsets: they are others."""
    await write_letters(brokers, [letter(topic, 1, value=b"{old"), letter(topic, 1, value=b"{new")])
    assert await postbox.replay() == Replayed(sent=2)


async def test_time_is_limited(
    brokers: Brokers, topic: str, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay that has no more time says what is left, and the next goes on there."""
    monkeypatch.setattr("realtime.kafka.letters.filed_letters.BATCH", 3)
    await write_letters(brokers, [letter(topic, n) for n in range(8)])
    done = await postbox.replay(within=0)
    assert done.sent == 3
    assert done.left == 5
    assert await postbox.replay(within=PATIENCE) == Replayed(sent=5)
    assert await sent(brokers, topic) == [b"t%d" % n for n in range(8)]


@ON_APACHE
async def test_too_many_single_letters_are_refused(
    brokers: Brokers,
    topic: str,
    postbox: Postbox,
    at: TopicPartition,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What Kafka can't note is not sent."""
    monkeypatch.setattr("realtime.kafka.letters.sent_offsets.MAX_TEXT", len("sent 1 1"))
    await write_letters(brokers, [letter(topic, n) for n in range(8)])
    assert await postbox.replay_one(at, 1)
    assert await postbox.replay_one(at, 3)
    with pytest.raises(ValueError, match="send all of them"):
        await postbox.replay_one(at, 5)
    assert await sent(brokers, topic) == [b"t1", b"t3"]
    assert (await postbox.replay()).sent == 6


async def test_records_that_were_sent_again_are_published_once(
    brokers: Brokers,
    topic: str,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
    postbox: Postbox,
) -> None:
    """Marks of the record that failed do not cover it; its own do, whoever reads it again."""
    await write_letters(brokers, [letter(topic, n, value=b'{"n": %d}' % n) for n in range(3)])
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        for number in range(5):
            await producer.send_and_wait(topic, b"[%d]" % number, key=b"room.1", partition=0)
    async with pools.running():
        await until(lambda: has(redis_layer, 5), within=PATIENCE)
        assert (await postbox.replay()).sent == 3
        await until(lambda: has(redis_layer, 8), within=PATIENCE)
    pools.group += "-again"  # another group reads all of the topic once more
    async with pools.running() as pool:
        await until(lambda: pool.records >= 8, within=PATIENCE)
    data = [item.data for item in await redis_layer.history("room.1")]
    assert data == [b"[%d]" % n for n in range(5)] + [b'{"n": %d}' % n for n in range(3)]


async def has(layer: ShardedChannelLayer, count: int) -> bool:
    """Say whether the room has so many publications."""
    return len(await layer.history("room.1")) >= count


async def test_broker_without_transactions_is_told(
    brokers: Brokers,
    topic: str,
    postbox: Postbox,
    any_kafka: object,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Apache Kafka has them; of the broker of development a line says that it has none."""
    await write_letters(brokers, [letter(topic, 0)])
    assert await postbox.replay() == Replayed(sent=1)
    assert ("has no transactions" in caplog.text) != isinstance(any_kafka, ApacheKafka)


class Killed(BaseException):
    """What ends a replay at once."""


@ON_APACHE
async def test_killed_replay_has_sent_nothing(
    brokers: Brokers, topic: str, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads what is committed never sees the records of a batch that was not noted."""
    await write_letters(brokers, [letter(topic, n) for n in range(5)])

    async def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(AIOKafkaProducer, "send_offsets_to_transaction", killed)
        with pytest.raises(Killed):
            await postbox.replay()
    assert len((await records_in(brokers, topic, 5))[0]) == 5  # they lie there, uncommitted
    assert await postbox.replay() == Replayed(sent=5)
    assert await sent(brokers, topic) == [b"t%d" % n for n in range(5)]


@ON_APACHE
async def test_of_two_replays_the_later_goes_on(
    brokers: Brokers, topic: str, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once send no letter twice: the first is told that there is another."""
    await write_letters(brokers, [letter(topic, n) for n in range(5)])
    may_go_on, is_writing = asyncio.Event(), asyncio.Event()
    write = LetterSender.send

    async def slowly(
        self: LetterSender, letters: Sequence[Letter], sent: Mapping[TopicPartition, SentOffsets]
    ) -> None:
        if not is_writing.is_set():
            is_writing.set()
            await may_go_on.wait()
        await write(self, letters, sent)

    monkeypatch.setattr(LetterSender, "send", slowly)
    first = asyncio.create_task(postbox.replay())
    await asyncio.wait_for(is_writing.wait(), PATIENCE)
    assert await postbox.replay() == Replayed(sent=5)
    may_go_on.set()
    with pytest.raises(KafkaError):
        await first
    assert await sent(brokers, topic) == [b"t%d" % n for n in range(5)]


async def test_what_a_replay_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows the last letters that it met, and no more."""
    monkeypatch.setattr(postbox_module, "REMEMBERED", 3)
    seen: Any = postbox_module.MetLetters()
    assert [seen.is_new(letter("a", n)) for n in range(5)] == [True] * 5
    assert not seen.is_new(letter("a", 4))
    assert seen.is_new(letter("a", 0))
