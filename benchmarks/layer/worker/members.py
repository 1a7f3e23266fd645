"""The members: channels that count what they get, and one that sends everything back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.layer.worker.messages import number_of, numbered
from benchmarks.statistics import percentile

_POLL = 0.01  # seconds between two looks whether all has arrived


class Members:
    """Channels of this process, and what arrived on them.

    Args:
        layer: The channel layer.
    """

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._tasks: set[asyncio.Task[None]] = set()
        self._got: dict[str, set[int]] = {}  # numbers, by group
        self._repeated = 0
        self._failed: dict[str, int] = {}

    async def join(self, groups: Sequence[str]) -> None:
        """Add one channel to each group, and receive it from now on."""
        for group in groups:
            channel = await self._layer.new_channel()
            await self._layer.group_add(group, channel)
            self._got[group] = set()
            self._start(self._count(channel, group))

    async def collect(
        self, *, group: str, first: int, until: int, unsure: Sequence[int], patience: float
    ) -> dict[str, Any]:
        """Wait until a group's member has all of a slice; return how many messages did not come.

        Args:
            group: The group.
            first, until: The slice's numbers.
            unsure: Those of calls that raised: their messages may come or not.
            patience: Seconds after which the rest is lost.
        """
        wanted, got = set(range(first, until)).difference(unsure), self._got[group]
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if len(got) >= len(wanted) and wanted <= got:
                break
            await asyncio.sleep(_POLL)
        answer = {
            "lost": len(wanted - got),
            "repeated": self._repeated,
            "receive_failed": self._failed,
        }
        got.clear()
        self._repeated, self._failed = 0, {}
        return answer

    async def echo(self) -> str:
        """Return a channel whose messages are sent back to the channel that they name."""
        channel: str = await self._layer.new_channel()
        self._start(self._send_back(channel))
        return channel

    async def round_trips(
        self, *, channel: str, first: int, seconds: float, patience: float = 1.0
    ) -> dict[str, Any]:
        """Send to an echo, wait for the answer, and so on; return the times.

        An answer that does not come within `patience` seconds is lost, and the next is asked for.
        """
        own: str = await self._layer.new_channel()
        times: list[float] = []
        lost, number = 0, first
        deadline = time.monotonic() + seconds
        while number == first or time.monotonic() < deadline:  # at least one
            begun = time.perf_counter()
            await self._layer.send(channel, {**numbered(number), "answer": own})
            try:
                async with asyncio.timeout(patience):
                    while number_of(await self._layer.receive(own)) != number:
                        pass
            except TimeoutError:
                lost += 1
            else:
                times.append((time.perf_counter() - begun) * 1e3)
            number += 1
        return {
            "count": len(times),
            "lost": lost,
            "until": number,
            "p50_ms": percentile(sorted(times), 50) if times else None,
        }

    async def _count(self, channel: str, group: str) -> None:
        got = self._got[group]
        while True:
            try:
                number = number_of(await self._layer.receive(channel))
            except Exception as error:
                # A consumer would end here; what comes later is to be counted all the same.
                name = f"{type(error).__name__} (receive)"
                self._failed[name] = self._failed.get(name, 0) + 1
                await asyncio.sleep(_POLL)
            else:
                self._repeated += number in got
                got.add(number)

    async def _send_back(self, channel: str) -> None:
        while True:
            message = await self._layer.receive(channel)
            await self._layer.send(message.pop("answer"), message)

    def _start(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
