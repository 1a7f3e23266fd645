"""The callers: each sends numbered messages to a group, at least one, until its time is up.

A call that raises is counted, and its caller goes on after a pause; the number of that message is
kept, since nobody knows whether it was sent.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import async_to_sync

from benchmarks.layer.worker.messages import numbered

_PAUSE = 0.01  # seconds after a call that raised


@dataclass(slots=True)
class Sent:
    """What the callers of one slice did.

    Attributes:
        sent: Calls that succeeded.
        failed: Calls that raised, by the exception's name.
        unsure: The numbers of those messages.
        until: The number after the last that was used.
        seconds: From the first call to the end of the last.
        cpu_us: This process's CPU in that time, microseconds.
    """

    sent: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    unsure: list[int] = field(default_factory=list)
    until: int = 0
    seconds: float = 0.0
    cpu_us: float = 0.0

    def fail(self, error: Exception, number: int) -> None:
        """Count a call that raised."""
        name = type(error).__name__
        self.failed[name] = self.failed.get(name, 0) + 1
        self.unsure.append(number)


async def send_concurrently(
    layer: Any, group: str, *, first: int, callers: int, seconds: float
) -> Sent:
    """Have `callers` tasks each send one message after the other."""
    sent, numbers = Sent(), itertools.count(first)
    deadline = time.monotonic() + seconds

    async def call() -> None:
        while True:
            number = next(numbers)
            try:
                await layer.group_send(group, numbered(number))
            except Exception as error:
                sent.fail(error, number)
                await asyncio.sleep(_PAUSE)
            else:
                sent.sent += 1
            if time.monotonic() >= deadline:
                return

    with _timed(sent):
        await asyncio.gather(*(call() for _ in range(callers)))
    sent.until = next(numbers)
    return sent


async def send_batches(layer: Any, group: str, *, first: int, size: int, seconds: float) -> Sent:
    """Send `size` messages at once and, when the last call has ended, the next ones."""
    sent, number = Sent(), first
    deadline = time.monotonic() + seconds
    with _timed(sent):
        while True:
            answers = await asyncio.gather(
                *(layer.group_send(group, numbered(number + i)) for i in range(size)),
                return_exceptions=True,
            )
            for i, answer in enumerate(answers):
                if isinstance(answer, Exception):
                    sent.fail(answer, number + i)
                else:
                    sent.sent += 1
            number += size
            if time.monotonic() >= deadline:
                break
    sent.until = number
    return sent


def send_synchronously(layer: Any, group: str, *, first: int, threads: int, seconds: float) -> Sent:
    """Have threads that run no event loop call `async_to_sync(layer.group_send)`, as views do.

    Each call wraps anew; asgiref gives each a new event loop in a new thread.
    """
    sends = lambda number: async_to_sync(layer.group_send)(group, numbered(number))  # noqa: E731
    return _in_threads(sends, first=first, threads=threads, seconds=seconds)


def send_blocking(layer: Any, group: str, *, first: int, threads: int, seconds: float) -> Sent:
    """Have such threads call `layer.group_send_sync`, which only ours has."""
    sends = lambda number: layer.group_send_sync(group, numbered(number))  # noqa: E731
    return _in_threads(sends, first=first, threads=threads, seconds=seconds)


def do_nothing_synchronously(*, threads: int, seconds: float) -> Sent:
    """Do the same with a coroutine that does nothing: what asgiref alone costs."""

    async def nothing() -> None:
        pass

    return _in_threads(
        lambda _: async_to_sync(nothing)(), first=0, threads=threads, seconds=seconds
    )


def _in_threads(call: Callable[[int], None], *, first: int, threads: int, seconds: float) -> Sent:
    sent, numbers, lock = Sent(), itertools.count(first), threading.Lock()
    deadline = time.monotonic() + seconds

    def run() -> None:
        while True:
            number = next(numbers)
            try:
                call(number)
            except Exception as error:
                with lock:
                    sent.fail(error, number)
                time.sleep(_PAUSE)
            else:
                with lock:
                    sent.sent += 1
            if time.monotonic() >= deadline:
                return

    with _timed(sent):
        runners = [threading.Thread(target=run) for _ in range(threads)]
        for runner in runners:
            runner.start()
        for runner in runners:
            runner.join()
    sent.until = next(numbers)
    return sent


@contextmanager
def _timed(sent: Sent) -> Iterator[None]:
    """Note the time and the CPU that a block takes."""
    wall, cpu = time.monotonic(), time.process_time()
    yield
    sent.seconds = time.monotonic() - wall
    sent.cpu_us = (time.process_time() - cpu) * 1e6
