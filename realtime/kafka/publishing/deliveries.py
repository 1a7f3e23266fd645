"""A queue to one destination: a Redis server, the announcements, the dead letters.

What waits leaves together, in order, and only when the parcels before it were acknowledged. So a
destination gets the records of a partition in order, and none while an earlier one may be missing.
The marks rely on that (`ShardedChannelLayer.publish_marked`). Destinations do not wait for each
other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from aiokafka import TopicPartition

from realtime.kafka.publishing.partitions import Slice
from shardlayer import Backoff

MAX_ITEMS = 4_000  # that leave together; a parcel is never parted

Item = TypeVar("Item")


@dataclass(slots=True, kw_only=True, eq=False)
class Parcel(Generic[Item]):
    """The items of a slice that have one destination, in order."""

    slice: Slice
    items: Sequence[Item]


class DeliveryQueue(Generic[Item]):
    """Delivers parcels in order; what fails is tried again, before anything later, forever.

    Args:
        deliver: Hands items over and returns when they are acknowledged. It may be called again
            with items of which some were taken.
        retry: The errors that waiting may mend; any other ends the queue and goes to `on_error`.
        name: Of its task.
        on_done: Called with each parcel that is delivered.
        on_change: Called after `error` came, or went with a success, with the error that was there
            before: a success is the end of that one alone.
        on_error: Called with the error that ended it.

    Attributes:
        error: Why the last try failed; None while all goes well, and while nothing waits.
    """

    def __init__(
        self,
        deliver: Callable[[Sequence[Item]], Awaitable[object]],
        *,
        retry: type[Exception] | tuple[type[Exception], ...],
        name: str,
        on_done: Callable[[Parcel[Item]], None],
        on_change: Callable[[Exception | None], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self.error: Exception | None = None
        self._doubt: Exception | None = None  # the last error, when what waited was dropped
        self._deliver = deliver
        self._retry = retry
        self._name = name
        self._on_done = on_done
        self._on_change = on_change
        self._on_error = on_error
        self._parcels: deque[Parcel[Item]] = deque()
        self._backoff = Backoff()
        self._task: asyncio.Task[None] | None = None

    def put(self, parcel: Parcel[Item]) -> None:
        """Queue a parcel behind the others."""
        self._parcels.append(parcel)
        if self._task is None:
            self._task = asyncio.create_task(self._pump(), name=f"realtime: {self._name}")

    def partitions(self) -> Iterator[TopicPartition]:
        """Yield the partitions of what waits here; one may come twice."""
        for parcel in self._parcels:
            if not parcel.slice.work.dropped:
                yield parcel.slice.work.partition

    async def aclose(self) -> None:
        """Stop at once, whatever waits."""
        self._parcels.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _pump(self) -> None:
        try:
            while self._parcels:
                await self._try()
        except Exception as error:  # told to the owner, who ends it all
            self._on_error(error)
        finally:
            self._task = None

    async def _try(self) -> None:
        taken, items = self._next()
        if not items:
            self._drop(taken)
            return
        try:
            await self._deliver(items)
        except self._retry as error:
            self._set_error(error)
            await asyncio.sleep(self._backoff.failed())
            return
        self._backoff.reset()
        for _ in range(taken):
            parcel = self._parcels.popleft()
            if not parcel.slice.work.dropped:
                self._on_done(parcel)
        self._set_error(None)

    def _drop(self, taken: int) -> None:
        """Let go of parcels of dropped partitions: whether the destination is back is unknown."""
        for _ in range(taken):
            self._parcels.popleft()
        self._doubt, self.error = self.error or self._doubt, None

    def _next(self) -> tuple[int, list[Item]]:
        """Return how many parcels leave next, and their items without those dropped."""
        taken = 0
        items: list[Item] = []
        for parcel in self._parcels:
            if taken and len(items) + len(parcel.items) > MAX_ITEMS:
                break
            taken += 1
            if not parcel.slice.work.dropped:
                items += parcel.items
        return taken, items

    def _set_error(self, error: Exception | None) -> None:
        before = self.error or self._doubt
        self.error, self._doubt = error, None
        if before is not None or error is not None:
            self._on_change(before)
