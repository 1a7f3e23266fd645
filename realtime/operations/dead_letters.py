"""Dead letters for an operator: a page of them, and sending them to their topics again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtime.conf import conf
from realtime.operations.kafka_failures import KafkaUnavailable, kafka_failures

if TYPE_CHECKING:
    from realtime.kafka.letters.letter_pages import LetterPage
    from realtime.kafka.letters.postbox import Postbox, Replayed

REPLAY_GRACE = 5.0  # seconds that the last letters of a replay may take beyond its time


@dataclass(frozen=True, slots=True, kw_only=True)
class LettersLook:
    """Some dead letters.

    Attributes:
        page: The newest first; None: unknown, or none are kept.
        next: The `place` of the page behind it; empty: there is none.
        why: Why it is unknown, for people; else empty.
        are_kept: Whether bad records are kept at all (KAFKA_DEAD_LETTER_SUFFIX).
    """

    page: LetterPage | None = None
    next: str = ""
    why: str = ""
    are_kept: bool = True


async def look_at_letters(*, count: int, place: str = "", within: float) -> LettersLook:
    """Read a page of dead letters, for so many seconds; raises nothing.

    Args:
        count: Letters, at most; fewer if they are large.
        place: What the page before this one said is next; empty: the newest.
        within: Seconds.
    """
    if conf().kafka_dead_letter_suffix is None:
        return LettersLook(are_kept=False)
    try:
        with kafka_failures():
            from realtime.kafka.letters.letter_pages import format_place, parse_place

            async with asyncio.timeout(within):
                postbox = await _postbox()
                before = parse_place(place, postbox.topics)
                page = await postbox.page(count=count, before=before)
            following = "" if page.next is None else format_place(page.next, postbox.topics)
    except KafkaUnavailable as error:
        return LettersLook(why=str(error))
    return LettersLook(page=page, next=following)


async def replay_letters(*, limit: int | None = None, within: float) -> Replayed:
    """Send letters to their topics again: those that no replay has sent (see `Postbox.replay`).

    Args:
        limit: Letters, at most.
        within: Seconds after which no more are begun.

    Raises:
        KafkaUnavailable: What was sent until then counts as sent.
    """
    with kafka_failures():
        async with asyncio.timeout(within + REPLAY_GRACE):
            return await (await _postbox()).replay(limit, within=within)


async def replay_letter(topic: str, partition: int, offset: int, *, within: float) -> bool:
    """Send one letter to its topic again; return whether it was: not if one has sent it.

    Args:
        topic: Where the letter lies.
        partition: Likewise.
        offset: Likewise.
        within: Seconds.

    Raises:
        KafkaUnavailable: Nobody knows whether it was sent; asking again sends it once all the same.
        ValueError: There is no such letter, or Kafka can't note more that were sent one by one.
    """
    with kafka_failures():
        from aiokafka import TopicPartition

        async with asyncio.timeout(within):
            postbox = await _postbox()
            return await postbox.replay_one(TopicPartition(topic, partition), offset)


async def _postbox() -> Postbox:
    """Return what the settings name. A thread makes it: certificates may have to be read."""
    from realtime.kafka.configured import configured_postbox

    return await asyncio.to_thread(configured_postbox, conf())
