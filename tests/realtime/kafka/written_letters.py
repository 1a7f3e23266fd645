"""Dead letters that no pool had to write."""

from __future__ import annotations

import time
from collections.abc import Iterable

from realtime.kafka.brokers import Brokers
from realtime.kafka.deadletters import DeadLetters, Letter
from tests.waiting import until

SUFFIX = ".dlq"


def letter(topic: str, offset: int, *, partition: int = 0, value: bytes = b"{") -> Letter:
    """Return a letter about a record."""
    return Letter(
        topic=topic,
        partition=partition,
        offset=offset,
        error=f"not JSON: number {offset}",
        key=b"room.1",
        value=value,
        headers=(("trace", b"t%d" % offset),),
    )


async def write_letters(brokers: Brokers, letters: Iterable[Letter]) -> None:
    """Write letters one after another, so that each has its own time."""
    box = DeadLetters(brokers, suffix=SUFFIX, limit=64 * 1024 * 1024)
    try:
        for each in letters:
            await box.write([each])
            written = int(time.time() * 1000)
            await until(lambda: int(time.time() * 1000) > written)  # noqa: B023
    finally:
        await box.aclose()
