"""asyncio has nothing to complain of where several letters are sent, and one can't leave."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError

from realtime.kafka.brokers import Brokers
from realtime.kafka.deadletters import DeadLetters, Letter
from realtime.kafka.letters.resending import LetterSender


class LosingProducer(AIOKafkaProducer):  # type: ignore[misc]
    """Takes as many letters as there are outcomes, then loses Kafka: nothing is acknowledged.

    Args:
        outcomes: What becomes of each letter: a future's error, or one that is raised.
    """

    def __init__(self, outcomes: Iterator[KafkaError]) -> None:
        self._outcomes = outcomes
        self._closed = True  # never started

    async def partitions_for(self, topic: str) -> set[int]:
        """Return one partition."""
        return {0}

    async def send(self, *arguments: Any, **options: Any) -> asyncio.Future[object]:
        """Return what fails at once, until there is no outcome any more."""
        error = next(self._outcomes, None)
        if error is None:
            raise KafkaConnectionError("Kafka is away")
        if isinstance(error, MessageSizeTooLargeError):
            raise error
        sent: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        sent.set_exception(error)
        return sent


LETTERS = [
    Letter(topic="events", partition=0, offset=n, error="", key=None, value=b"1", headers=())
    for n in range(3)
]


@pytest.mark.parametrize("way", ["written", "sent again"])
async def test_letters_before_one_that_cannot_leave(way: str) -> None:
    """Their errors are nobody's: it is the one that could not leave that is told."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    outcomes: list[KafkaError] = [KafkaConnectionError("lost")]
    if way == "written":
        outcomes.append(MessageSizeTooLargeError())
        box = DeadLetters(Brokers(servers=["kafka"], options={}), suffix=".dlq", limit=1_000)
        box._producer = LosingProducer(iter(outcomes))
        box._made.add("events.dlq")
        with pytest.raises(KafkaConnectionError, match="away"):
            await box.write(LETTERS)
    else:
        producer = LosingProducer(iter([*outcomes, *outcomes]))
        sender = LetterSender(producer, group="group", consumer=object())
        with pytest.raises(KafkaConnectionError, match="away"):
            await sender.send(LETTERS, {})
    await asyncio.sleep(0)
    gc.collect()
    assert told == []
