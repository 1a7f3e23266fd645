"""Dead letters a page at a time."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from realtime.kafka.brokers import Brokers
from realtime.kafka.letters import letter_pages
from realtime.kafka.letters.letter_pages import (
    SHOWN_BYTES,
    Cursor,
    LetterPage,
    format_place,
    parse_place,
)
from realtime.kafka.letters.postbox import Postbox
from tests.realtime.kafka.written_letters import SUFFIX, letter, write_letters

pytestmark = pytest.mark.kafka


@pytest.fixture
def postbox(brokers: Brokers, topic: str) -> Postbox:
    """The dead letters of this topic."""
    return Postbox(brokers=brokers, topics=[topic], suffix=SUFFIX, group=topic)


def offsets(page: LetterPage) -> list[int]:
    """Return which records a page's letters are about."""
    return [item.letter.offset for item in page.letters if item.letter]


async def test_newest_first_over_all_partitions(
    brokers: Brokers, topic: str, postbox: Postbox
) -> None:
    """Pages hold all letters, each once, by their time; there is no page behind the last."""
    await write_letters(brokers, [letter(topic, n, partition=n % 3) for n in range(10)])
    before: Cursor | None = None
    pages = []
    for _ in range(10):
        page = await postbox.page(count=4, before=before)
        pages.append(offsets(page))
        assert (page.kept, page.waiting) == (10, 10)
        before = page.next
        if before is None:
            break
    assert pages == [[9, 8, 7, 6], [5, 4, 3, 2], [1, 0]]
    first = (await postbox.page(count=1)).letters[0]
    assert (first.letter and first.letter.error, first.replayed) == ("not JSON: number 9", False)


async def test_nothing_is_a_page(postbox: Postbox) -> None:
    """A topic that never had a bad record has an empty page, and no next one."""
    assert await postbox.page(count=10) == LetterPage()


async def test_page_says_what_was_sent_again(
    brokers: Brokers, topic: str, postbox: Postbox
) -> None:
    """Letters that were sent are marked, and counted."""
    await write_letters(brokers, [letter(topic, n) for n in range(4)])
    await postbox.replay(limit=1)
    assert await postbox.replay_one(TopicPartition(topic + SUFFIX, 0), 1)
    page = await postbox.page(count=10)
    assert [item.replayed for item in page.letters] == [False, False, True, True]
    assert (page.kept, page.waiting) == (4, 2)
    assert await postbox.waiting() == {topic: 2}


async def test_what_is_read_for_a_page_is_bounded(
    brokers: Brokers, topic: str, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large letters come fewer at a time, and with the beginning of their payload."""
    monkeypatch.setattr(letter_pages, "READ_BYTES", 100_000)
    await write_letters(brokers, [letter(topic, n, value=b"%d" % n * 60_000) for n in range(8)])
    page = await postbox.page(count=8)
    assert offsets(page) == [7]
    [item] = page.letters
    assert item.size == 60_000
    assert item.record.value == b"7" * SHOWN_BYTES
    assert item.letter is not None
    assert item.letter.value == item.record.value
    assert page.next == {**dict.fromkeys(page.next or {}, 0), TopicPartition(topic + SUFFIX, 0): 7}


async def test_what_is_no_letter_is_shown(brokers: Brokers, topic: str, postbox: Postbox) -> None:
    """What somebody else wrote is there, and so is a letter that claims another topic's record."""
    await write_letters(brokers, [letter(topic, 0)])
    headers = letter("secrets", 5).all_headers()
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        await producer.send_and_wait(topic + SUFFIX, b"x", partition=0)
        await producer.send_and_wait(topic + SUFFIX, b"x", partition=0, headers=headers)
    page = await postbox.page(count=10)
    assert [item.letter is None for item in page.letters] == [True, True, False]


def test_place_in_an_address() -> None:
    """Where a page ends goes into an address and comes back; nonsense says nothing."""
    topics = ["a.dlq", "b.dlq"]
    cursor = {TopicPartition("b.dlq", 3): 17, TopicPartition("a.dlq", 0): 5}
    text = format_place(cursor, topics)
    assert text == "0-0-5.1-3-17"
    assert parse_place(text, topics) == cursor
    assert parse_place("7-0-1.x.0-0--1.0-0-5<script>." + "9" * 50, topics) == {}
    assert format_place({TopicPartition("gone", 0): 1}, topics) == ""
