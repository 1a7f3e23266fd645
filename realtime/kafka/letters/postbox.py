"""The topics of dead letters: to show what lies there, and to send it to its topics again.

**What is sent again once.** What was sent is kept as the committed offset of a consumer group of
its own (`sent_offsets.py`), and changes together with the records (`resending.py`). A letter that
was written twice, since a pool died behind it, is sent once: both have the record's place and its
bytes, and lie at most LOOK_AROUND letters apart.

**What becomes of a record that was sent again.** It is a new record behind all others of its
partition, with an offset of its own. So a pool takes it as any other: no mark that it has set
covers it, and the mark that it sets then covers it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b

from aiokafka import AIOKafkaConsumer, TopicPartition

from realtime.kafka.brokers import Brokers
from realtime.kafka.deadletters import Letter
from realtime.kafka.group_questions import asking, committed_by, partitions_of
from realtime.kafka.letters.filed_letters import Filed, bounds, read_ranges, topic_reader
from realtime.kafka.letters.letter_pages import Cursor, LetterPage, read_page
from realtime.kafka.letters.resending import LetterSender, letter_sender
from realtime.kafka.letters.sent_offsets import SentOffsets
from realtime.kafka.reading.size_limits import Limits

# Letters between one that a pool wrote and the same that the next wrote, at most: what a partition
# has under way is not committed (partitions.py), and a fetch more.
LOOK_AROUND = 2_000
REMEMBERED = 10_000  # letters that a replay knows to have met


@dataclass(slots=True)
class Replayed:
    """What a replay did.

    Attributes:
        sent: Letters sent to their topics again.
        repeats: Letters that were there twice, and sent once.
        strangers: Records that are no dead letters, and were passed over.
        left: Records that wait for another replay.
    """

    sent: int = 0
    repeats: int = 0
    strangers: int = 0
    left: int = 0


class NoSuchLetter(ValueError):
    """There is no such letter: its topic has let it go, or it never was."""

    def __str__(self) -> str:
        return str(self.__doc__)


Replaying = tuple[
    AIOKafkaConsumer,
    LetterSender,
    dict[TopicPartition, range],
    dict[TopicPartition, SentOffsets],
]


class Postbox:
    """The topics of dead letters, as they are when each method begins.

    Args:
        brokers: Where Kafka is.
        topics: Those whose dead letters are meant.
        suffix: What a topic's name gets for that of its letters.
        group: Names the consumer group that notes what was sent, together with the suffix.
        limit: Bytes of a letter, at most.

    Attributes:
        topics: Those in which the letters lie.
    """

    def __init__(
        self,
        *,
        brokers: Brokers,
        topics: Sequence[str],
        suffix: str,
        group: str,
        limit: int = Limits.letter,
    ) -> None:
        self._originals = list(dict.fromkeys(topics))
        self.topics = [topic + suffix for topic in self._originals]
        self._limit = limit
        self._brokers = brokers
        self._suffix = suffix
        self._group = group + suffix

    def __str__(self) -> str:
        return str(self._brokers)

    async def probe(self) -> None:
        """See that a broker answers, within seconds; aiokafka's clients take 40 to give one up.

        Raises:
            OSError, KafkaError: None does.
        """
        await self._brokers.probe()

    async def letters(self) -> AsyncIterator[Filed]:
        """Yield all dead letters, each partition's in order.

        Raises:
            OSError, KafkaError: Kafka does not answer.
        """
        async with topic_reader(self._brokers) as consumer:
            known, sent = await self._known(consumer)
            async for at, records in read_ranges(consumer, known):
                for record in records:
                    replayed = record.offset in sent[at]
                    yield Filed.of(at, record, replayed=replayed, suffix=self._suffix)

    async def page(self, *, count: int, before: Cursor | None = None) -> LetterPage:
        """Return some dead letters, the newest first.

        Args:
            count: Letters, at most; fewer if they are large.
            before: What the page before this one said is next; None: the newest.

        Raises:
            OSError, KafkaError: Kafka does not answer.
        """
        async with topic_reader(self._brokers) as consumer:
            known, sent = await self._known(consumer)
            return await read_page(
                consumer,
                known=known,
                sent=sent,
                suffix=self._suffix,
                before=before or {},
                count=count,
            )

    async def waiting(self) -> dict[str, int]:
        """Return how many letters of each topic no replay has sent, by the topics' own names.

        Their positions are looked at, and none is read.

        Raises:
            OSError, KafkaError: Kafka does not answer.
        """
        counts = dict.fromkeys(self._originals, 0)
        names = dict(zip(self.topics, self._originals, strict=True))
        async with topic_reader(self._brokers) as consumer:
            known, sent = await self._known(consumer)
        for key, each in known.items():
            counts[names[key.topic]] += sent[key].waiting(each)
        return counts

    async def replay(
        self,
        limit: int | None = None,
        *,
        within: float | None = None,
        on_progress: Callable[[int, int], object] = lambda done, whole: None,
    ) -> Replayed:
        """Send letters to their topics again: those that no replay has sent.

        Args:
            limit: Letters, at most.
            within: Seconds after which no more are begun; what is left, another replay sends.
            on_progress: Called after each batch with how many records were dealt with, and of how
                many.

        Raises:
            OSError, KafkaError: Kafka does not answer, or another replay has begun. What was sent
                until then counts as sent.
        """
        loop = asyncio.get_running_loop()
        deadline = None if within is None else loop.time() + within
        done = Replayed()
        async with self._replaying() as (consumer, sender, known, sent):
            seen = MetLetters()
            around = {key: _around(each, known[key].start) for key, each in sent.items()}
            await self._meet(consumer, around, sent, seen)
            ranges = {key: range(sent[key].below, each.stop) for key, each in known.items()}
            waited = _waiting(known, sent)
            whole = waited if limit is None else min(limit, waited)
            async with aclosing(read_ranges(consumer, ranges)) as batches:
                async for at, records in batches:
                    taken = [each for each in records if each.offset not in sent[at]]
                    if limit is not None and len(taken) > limit - done.sent:
                        taken = taken[: limit - done.sent]
                        end = taken[-1].offset + 1 if taken else records[0].offset
                    else:
                        end = records[-1].offset + 1
                    filed = [
                        Filed.of(at, record, replayed=False, suffix=self._suffix)
                        for record in taken
                    ]
                    letters = list(_fresh(filed, seen, done))
                    following = sent[at].since(end)
                    if following != sent[at]:
                        await sender.send(letters, {at: following})
                        sent[at] = following
                        done.sent += len(letters)
                        on_progress(min(waited - _waiting(known, sent), whole), whole)
                    if end <= records[-1].offset or (deadline and loop.time() >= deadline):
                        break
        done.left = _waiting(known, sent)
        return done

    async def replay_one(self, at: TopicPartition, offset: int) -> bool:
        """Send one letter to its topic again; return whether it was: not if one has sent it.

        Raises:
            NoSuchLetter: It is not there, or is no letter.
            CannotNote: Kafka can't note that it was sent alone.
            OSError, KafkaError: Kafka does not answer, or another replay has begun.
        """
        async with self._replaying() as (consumer, sender, known, sent):
            if at not in known or offset not in known[at]:
                raise NoSuchLetter
            if offset in sent[at]:
                return False
            begin, end = known[at].start, known[at].stop
            seen = MetLetters()
            around = range(max(begin, offset - LOOK_AROUND), min(end, offset + LOOK_AROUND))
            found = await self._meet(consumer, {at: [around]}, sent, seen, wanted=offset)
            if not found or found[0].letter is None:
                raise NoSuchLetter
            letters = list(_fresh(found, seen, Replayed()))
            await sender.send(letters, {at: sent[at].plus([offset])})
            return bool(letters)

    async def _known(
        self, consumer: AIOKafkaConsumer
    ) -> tuple[dict[TopicPartition, range], dict[TopicPartition, SentOffsets]]:
        """Return the offsets that the partitions have, and what was sent of them."""
        async with asking(self._brokers) as admin:
            topics = await partitions_of(admin, self.topics)
            partitions = [key for each in topics.values() for key in each]
            committed = await committed_by(admin, self._group, partitions)
        known = await bounds(consumer, partitions)
        sent = {
            key: SentOffsets.of(committed[key].offset or 0, committed[key].text).since(each.start)
            for key, each in known.items()
        }
        return known, sent

    @asynccontextmanager
    async def _replaying(self) -> AsyncIterator[Replaying]:
        """Have what a replay needs; what was sent is asked for when nobody else can send."""
        async with (
            topic_reader(self._brokers, group=self._group) as consumer,
            letter_sender(
                self._brokers, group=self._group, consumer=consumer, limit=self._limit
            ) as sender,
        ):
            known, sent = await self._known(consumer)
            yield consumer, sender, known, sent

    async def _meet(
        self,
        consumer: AIOKafkaConsumer,
        ranges: Mapping[TopicPartition, Sequence[range]],
        sent: Mapping[TopicPartition, SentOffsets],
        seen: MetLetters,
        *,
        wanted: int | None = None,
    ) -> list[Filed]:
        """Note which letters in some ranges were sent; return the one that is wanted."""
        found = []
        for number in range(max(map(len, ranges.values()), default=0)):
            parts = {at: each[number] for at, each in ranges.items() if number < len(each)}
            async for at, records in read_ranges(consumer, parts):
                for record in records:
                    replayed = record.offset in sent[at]
                    item = Filed.of(at, record, replayed=replayed, suffix=self._suffix)
                    if item.offset == wanted:
                        found.append(item)
                    elif replayed and item.letter is not None:
                        seen.is_new(item.letter)
        return found


class MetLetters:
    """The letters that a replay has met: the last REMEMBERED."""

    def __init__(self) -> None:
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def is_new(self, letter: Letter) -> bool:
        """Note a letter; return whether it was not met before."""
        digest = blake2b(digest_size=16)
        place = (letter.topic, letter.partition, letter.offset)
        for part in (repr(place).encode(), letter.key or b"", letter.value or b""):
            digest.update(b"%d:" % len(part))
            digest.update(part)
        known = len(self._digests)
        self._digests[digest.digest()] = None
        is_new = len(self._digests) > known
        if len(self._digests) > REMEMBERED:
            self._digests.popitem(last=False)
        return is_new


def _fresh(filed: Sequence[Filed], seen: MetLetters, done: Replayed) -> Iterator[Letter]:
    """Yield the letters that were not met before; what is passed over is counted."""
    for item in filed:
        if item.letter is None:
            done.strangers += 1
        elif not seen.is_new(item.letter):
            done.repeats += 1
        else:
            yield item.letter


def _waiting(
    known: Mapping[TopicPartition, range], sent: Mapping[TopicPartition, SentOffsets]
) -> int:
    """Return how many records no replay has dealt with."""
    return sum(sent[key].waiting(each) for key, each in known.items())


def _around(sent: SentOffsets, begin: int) -> list[range]:
    """Return where letters lie that were sent, and whose repeats may not have been."""
    parts = [range(max(begin, sent.below - LOOK_AROUND), sent.below)]
    for each in sent.beyond:
        if each.start - parts[-1].stop <= LOOK_AROUND:
            parts[-1] = range(parts[-1].start, each.stop)
        else:
            parts.append(each)
    return parts
