"""Publishes numbered publications at a pace, and counts what was acknowledged."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from typing import Any, Final

from realtime.loadtest.delay_histogram import DelayHistogram
from realtime.loadtest.load_stamp import stamped
from realtime.loadtest.publishing.publishing_ways import PublishingWay

_AT_ONCE: Final = 32  # calls under way
_BATCH: Final = 500  # publications of a call
_SHORTEST_SLEEP: Final = 0.001  # seconds


class PacedPublisher:
    """Takes rooms in turn; each publication has the room's next number.

    Args:
        way: How to publish.

    Attributes:
        numbers: By room, how many numbers were used.
        published: Publications that were acknowledged.
        failures: Those that were not, by why.
        uncertain: Room and number of those that were not: clients may have them or not.
        late: Seconds by which the last call came after it was due.
        latest: The largest such time.
    """

    def __init__(self, way: PublishingWay) -> None:
        self._way = way
        self._at_once = _AT_ONCE if way.concurrent else 1
        self.numbers: Counter[int] = Counter()
        self.published = 0
        self.failures: Counter[str] = Counter()
        self.uncertain: list[tuple[int, int]] = []
        self.late = self.latest = 0.0
        self._acknowledged: array[int] = array("q")
        self._began, self._clock = time.time(), time.monotonic_ns()
        # By room, the milliseconds from then until each number was published: 4 bytes each.
        self._sent: defaultdict[int, array[int]] = defaultdict(lambda: array("I"))

    async def publish(
        self, rooms: Sequence[tuple[int, str]], *, rate: float, count: int, size: int
    ) -> None:
        """Publish `count` publications, `rate` a second; return when all have their answer.

        Args:
            rooms: Index and name of each, in the order in which they are taken.
            rate: Publications a second; 0: as fast as they are taken.
            count: How many.
            size: Bytes of each one's data, at least.
        """
        under_way: deque[asyncio.Task[None]] = deque()
        start = time.monotonic()
        done = turn = 0
        while done < count:
            now = time.monotonic()
            due = min(count, int((now - start) * rate) + 1) if rate else count
            if due <= done:
                await asyncio.sleep(max(start + done / rate - now, _SHORTEST_SLEEP))
                continue
            while len(under_way) >= self._at_once:
                await under_way.popleft()
            now = time.monotonic()
            if rate:
                self.late = now - start - done / rate
                self.latest = max(self.latest, self.late)
            sent = time.monotonic_ns()
            milliseconds = (sent - self._clock) // 1_000_000
            items = []
            places = []
            for _ in range(min(due - done, _BATCH)):
                room, name = rooms[turn % len(rooms)]
                items.append((name, stamped(room, self.numbers[room], sent, size)))
                places.append((room, self.numbers[room]))
                self._sent[room].append(milliseconds)
                self.numbers[room] += 1
                turn += 1
            done += len(items)
            under_way.append(asyncio.create_task(self._call(items, places, sent)))
            if not rate:
                await asyncio.sleep(0)
        await asyncio.gather(*under_way)

    async def _call(
        self, items: Sequence[tuple[str, bytes]], places: Sequence[tuple[int, int]], sent: int
    ) -> None:
        try:
            await self._way.publish(items)
        except Exception as error:  # of any way: it is counted and told
            self.failures[f"{type(error).__name__}: {error}"[:200]] += len(items)
            self.uncertain += places
        else:
            self.published += len(items)
            self._acknowledged.append(time.monotonic_ns() - sent)

    def published_at(self, room: int, number: int) -> float:
        """Return when a number was published in a room, in seconds since the epoch."""
        return self._began + self._sent[room][number] / 1e3

    def report(self) -> dict[str, Any]:
        """Return how it goes."""
        acknowledged = DelayHistogram()
        acknowledged.take(self._acknowledged)
        self._acknowledged = array("q")
        return {
            "published": self.published,
            "failed": self.failures.total(),
            "failures": dict(self.failures.most_common(5)),
            "late": self.late,
            "latest": self.latest,
            "acknowledged": acknowledged.as_json(),
        }
