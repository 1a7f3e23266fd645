"""Stand-ins named by their job."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from shardlayer.core.frames import Broadcast
from shardlayer.core.tracing import Delivered, set_tracer


class RecordingSink:
    """Remembers what was written to it."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.writes = 0
        self.closed: tuple[int, str] | None = None

    def write(self, broadcast: Broadcast) -> None:
        self.writes += 1
        self.texts.extend(broadcast.texts)

    def close(self, code: int, reason: str = "") -> None:
        self.closed = (code, reason)


class BrokenSink(RecordingSink):
    """Raises whenever it is written to."""

    def write(self, broadcast: Broadcast) -> None:
        super().write(broadcast)
        raise OSError("the other side is gone")


class FakeClock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def stand_still(seconds: float) -> None:
    """Have the running loop find, when it goes on, that so many seconds have passed."""
    loop: Any = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds


async def some_turns() -> None:
    """Let the loop go on for a moment: timers that are due are called."""
    for _ in range(20):
        await asyncio.sleep(0)


class RecordingTracer:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[Delivered] = []

    def publishing(self, rooms: Sequence[str]) -> None:
        raise AssertionError

    def delivered(self, publications: Sequence[Delivered]) -> None:
        self.told += publications


@contextmanager
def recording_tracer() -> Iterator[RecordingTracer]:
    """Have this process tell a tracer inside the block."""
    tracer = RecordingTracer()
    set_tracer(tracer)
    try:
        yield tracer
    finally:
        set_tracer(None)
