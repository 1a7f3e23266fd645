"""Bursts one by one: how many there are, and when they end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from benchmarks.publisher.pacing import one_by_one
from benchmarks.stamps import ACK


class AnsweringEmitter:
    """A peer and its clients in one: whatever is published has arrived, or never does.

    Args:
        acks: Where it is told that it has.
        arrives: Whether it does.
    """

    def __init__(self, acks: asyncio.StreamReader, *, arrives: bool) -> None:
        self._acks = acks
        self._arrives = arrives
        self._next = 7

    async def open(self) -> None:
        """Do nothing."""

    async def publish(self, messages: Sequence[bytes]) -> None:
        """Tell that the last of them has arrived."""
        self._next += len(messages)
        if self._arrives:
            self._acks.feed_data(ACK.pack(self._next - 1))

    async def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("burst", [1, 20])
def test_one_burst_is_published_in_no_time(burst: int, *, arrives: bool) -> None:
    """Who looks whether anything arrives gives no time, and would find that nothing is lost."""

    async def publish() -> dict[str, float]:
        acks = asyncio.StreamReader()
        emitter = AnsweringEmitter(acks, arrives=arrives)
        patience = 600.0 if arrives else 0.01
        return await one_by_one(
            emitter, acks, first=7, burst=burst, size=100, seconds=0.0, patience=patience
        )

    found = asyncio.run(publish())
    assert (found["published"], found["stalled"]) == (burst, not arrives)
