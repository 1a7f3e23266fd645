"""Dead letters a page at a time, the newest first: how much is read for one is bounded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from realtime.kafka.letters.filed_letters import Filed, read_ranges
from realtime.kafka.letters.sent_offsets import SentOffsets

MIB = 1024 * 1024
READ_BYTES = 32 * MIB  # of payloads that are read for a page; with more it gets fewer letters
SHOWN_BYTES = 20_000  # of a payload that a page keeps
FEWER = 4  # what the letters of a page are divided by then

Cursor = Mapping[TopicPartition, int]
"""Where a page ends: the offset behind its newest letter, of each partition."""

_PLACE = re.compile(r"([0-9]{1,4})-([0-9]{1,9})-([0-9]{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterPage:
    """Some dead letters.

    Attributes:
        letters: The newest first, by the time when they were written.
        next: Where the page behind it ends; None: there is none.
        kept: How many records the topics of dead letters have.
        waiting: How many of them were sent again by no replay.
    """

    letters: tuple[Filed, ...] = ()
    next: Cursor | None = None
    kept: int = 0
    waiting: int = 0


async def read_page(
    consumer: AIOKafkaConsumer,
    *,
    known: Mapping[TopicPartition, range],
    sent: Mapping[TopicPartition, SentOffsets],
    suffix: str,
    before: Cursor,
    count: int,
) -> LetterPage:
    """Return a page.

    Args:
        consumer: It has the partitions of `known`.
        known: The offsets that each partition has.
        sent: What was sent again of each.
        suffix: What a topic's name gets for that of its letters.
        before: Where the page ends; a partition that it does not name: at its own end.
        count: Letters, at most; fewer if they are large.

    Raises:
        TimeoutError, KafkaError: Kafka does not answer.
    """
    ends = {key: min(before.get(key, each.stop), each.stop) for key, each in known.items()}
    found: dict[TopicPartition, list[Filed]] | None = None
    while found is None:
        ranges = {
            key: range(max(each.start, ends[key] - count), ends[key]) for key, each in known.items()
        }
        found = await _read(consumer, ranges, sent, suffix, most=READ_BYTES if count > 1 else None)
        if found is None:
            count = max(1, count // FEWER)
    letters: list[Filed] = []
    while len(letters) < count and (rest := [each for each in found.values() if each]):
        letters.append(max(rest, key=lambda each: each[-1].record.timestamp).pop())
    following = {
        key: left[-1].offset + 1 if (left := found.get(key)) else ranges[key].start
        for key in ranges
    }
    return LetterPage(
        letters=tuple(letters),
        next=following if any(following[key] > known[key].start for key in known) else None,
        kept=sum(map(len, known.values())),
        waiting=sum(sent[key].waiting(each) for key, each in known.items()),
    )


async def _read(
    consumer: AIOKafkaConsumer,
    ranges: Mapping[TopicPartition, range],
    sent: Mapping[TopicPartition, SentOffsets],
    suffix: str,
    *,
    most: int | None,
) -> dict[TopicPartition, list[Filed]] | None:
    """Return the records of some offsets, cut; None: they have more than `most` bytes."""
    found: dict[TopicPartition, list[Filed]] = {}
    size = 0
    async for at, records in read_ranges(consumer, ranges):
        for record in records:
            item = Filed.of(at, record, replayed=record.offset in sent[at], suffix=suffix)
            size += item.size
            found.setdefault(at, []).append(item.cut(SHOWN_BYTES))
        if most is not None and size > most:
            return None
    return found


def format_place(cursor: Cursor, topics: Sequence[str]) -> str:
    """Return where a page ends, for an address: `topic-partition-offset`, the topic by number."""
    return ".".join(
        f"{topics.index(key.topic)}-{key.partition}-{offset}"
        for key, offset in sorted(cursor.items())
        if key.topic in topics
    )


def parse_place(text: str, topics: Sequence[str]) -> Cursor:
    """Return what `format_place` wrote; what is none says nothing."""
    found = {}
    for word in text.split("."):
        if (match := _PLACE.fullmatch(word)) and int(match[1]) < len(topics):
            found[TopicPartition(topics[int(match[1])], int(match[2]))] = int(match[3])
    return found
