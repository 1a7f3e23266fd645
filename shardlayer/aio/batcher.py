"""Sends at once when idle; while a batch is in flight the rest waits and leaves together.

There is no timer. An item that finds the batcher idle waits for nobody. Under load, a batch takes
what gathers during one round trip, up to two bounds: items and bytes. At most one batch is in
flight, so items are sent in the order in which they were put.

If the batcher is idle, the caller sends its item itself, which saves a task and two turns of the
event loop. A task sends what gathers meanwhile. It also sends what comes while others send
(`is_busy`): one turn of the loop has many callers then, and the first item would leave alone.

Of many items that wait, half stay for the next batch. While that is under way, the callers of this
one have their results and put new items. If all left together, sender and callers would take turns.

The queue is bounded. Past `max_pending` an item waits with its caller, first come, first served, so
that a slow receiver slows its callers down and never fills the memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

UNDIVIDED = 100  # items that leave together, however few others wait

Item = TypeVar("Item")
Result = TypeVar("Result")

Send = Callable[[list[Item], float], Awaitable[Sequence[Result]]]
"""Sends a batch. Takes the items and the loop's time when the oldest was put; returns one result
per item, in their order. What it raises is raised to every caller whose item was in the batch."""


class _Together(Generic[Result]):
    """The outcomes of several items, for one caller who waits for all of them.

    Attributes:
        outcomes: Of each item, in their order.
        open: How many of them have none yet.
        future: What the caller waits for.
    """

    __slots__ = ("future", "open", "outcomes")

    def __init__(self, count: int) -> None:
        self.outcomes: list[Any] = [None] * count
        self.open = count
        self.future: asyncio.Future[list[Result | BaseException]]
        self.future = asyncio.get_running_loop().create_future()
        if not count:
            self.future.set_result([])


class _Share(Generic[Result]):
    """One item's part in `_Together`, in place of a future that calls the event loop back."""

    __slots__ = ("_index", "_is_done", "_together")

    def __init__(self, together: _Together[Result], index: int) -> None:
        self._together = together
        self._index = index
        self._is_done = False

    def cancelled(self) -> bool:
        return self._together.future.cancelled()

    def done(self) -> bool:
        return self._is_done or self._together.future.done()

    def set_result(self, outcome: Result | BaseException) -> None:
        self._is_done = True
        together = self._together
        together.outcomes[self._index] = outcome
        together.open -= 1
        if not together.open:
            together.future.set_result(together.outcomes)

    def set_exception(self, error: Exception) -> None:
        self.set_result(error)

    def cancel(self) -> None:
        self.set_result(asyncio.CancelledError())

    def exception(self) -> None:
        """Nobody is told that it was not fetched."""


class _Waiting(NamedTuple, Generic[Item, Result]):
    item: Item
    size: int
    future: asyncio.Future[Result] | _Share[Result]
    since: float


# Made for each item: without the function that calling the class goes through.
_as_waiting: Callable[[tuple[Any, ...]], _Waiting[Any, Any]] = partial(tuple.__new__, _Waiting)


class Batcher(Generic[Item, Result]):
    """Gathers items of one event loop into batches.

    Args:
        send: Sends one batch.
        size_of: An item's size in bytes.
        max_items: Items in one batch, at most.
        max_bytes: Bytes in one batch, at most; one larger item goes alone.
        max_pending: Items that may wait before `put` has to.
        name: Names the sending task, for whoever debugs it.
        is_busy: Whether others send at the moment. Then an item that finds this batcher idle waits
            until the end of the event loop's turn for others of that turn.
    """

    def __init__(
        self,
        send: Send[Item, Result],
        *,
        size_of: Callable[[Item], int],
        max_items: int,
        max_bytes: int,
        max_pending: int,
        name: str,
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._send = send
        self._size_of = size_of
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._max_pending = max_pending
        self._name = name
        self._is_busy = is_busy
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._callers: deque[_Waiting[Item, Result]] = deque()  # for whose items there is no room
        self._task: asyncio.Task[None] | None = None
        self._caller: asyncio.Task[Any] | None = None  # who sends its own item
        self._sent: asyncio.Future[None] | None = None  # waits until that has ended
        self._was_broken_off = False  # whether that send was, by closing
        self._error: Exception | None = None  # what callers get once it is closed

    def __len__(self) -> int:
        """Return how many items wait, those in flight not counted."""
        return len(self._waiting)

    async def put(self, item: Item) -> Result:
        """Send an item in some batch and return its result.

        Raises:
            What `send` raised for the batch, or what `aclose` was given. A caller that is
            cancelled before its item left takes the item back; after that the item may be sent
            although nobody waits for it.
        """
        if self._task is not None or self._caller is not None or self._is_busy():
            loop = asyncio.get_running_loop()
            future: asyncio.Future[Result] = loop.create_future()
            self._place(item, future, loop.time())
            try:
                return await future
            finally:
                del future  # its error knows this frame, and would keep it
        # Nothing is under way: this caller sends its item itself.
        if self._error is not None:
            raise self._error
        loop = asyncio.get_running_loop()
        caller = asyncio.current_task(loop)
        if caller is None:
            raise RuntimeError("Only a task can put an item.")
        cancelled = caller.cancelling()
        self._caller = caller
        try:
            return (await self._send([item], loop.time()))[0]
        except asyncio.CancelledError:
            if self._was_broken_off and caller.uncancel() <= cancelled and self._error is not None:
                raise self._error from None
            raise  # somebody else cancelled it, too
        finally:
            self._caller = None
            if self._sent is not None:
                self._sent.set_result(None)
                self._sent = None
            if self._waiting:
                self._begin()

    def put_all(self, items: Sequence[Item]) -> Awaitable[list[Result | BaseException]]:
        """Send several items, in order; what is returned gives each one's result or error.

        They have their places before this returns, ahead of what is put later. They may leave in
        several batches and between items of other callers.
        """
        together: _Together[Result] = _Together(len(items))
        since = asyncio.get_running_loop().time()
        for index, item in enumerate(items):
            self._place(item, _Share(together, index), since)
        return together.future

    async def drain(self) -> None:
        """Wait until nothing waits and nothing is in flight. Put nothing meanwhile."""
        while self._caller is not None or (self._task is not None and not self._task.done()):
            if self._caller is not None and self._sent is None:
                self._sent = asyncio.get_running_loop().create_future()
            await asyncio.wait([each for each in (self._task, self._sent) if each is not None])

    async def aclose(self, error: Exception) -> None:
        """Stop at once: what waits, is in flight or is put later gets this error.

        What was in flight may have been sent or not.
        """
        self._error = error
        for line in (self._waiting, self._callers):
            self._fail(line, error)
            line.clear()
        if self._task is not None:
            self._task.cancel()
        if self._caller is not None and not self._was_broken_off:
            # As asyncio.timeout does it: a task that is not ours is woken by this, not cancelled.
            self._was_broken_off = True
            self._caller.cancel()
        await self.drain()

    def _place(
        self, item: Item, future: asyncio.Future[Result] | _Share[Result], since: float
    ) -> None:
        entry = _as_waiting((item, self._size_of(item), future, since))
        # Whoever comes while others wait for room waits behind them.
        if len(self._waiting) < self._max_pending and not self._callers:
            self._enqueue(entry)
        else:
            self._callers.append(entry)

    def _enqueue(self, entry: _Waiting[Item, Result]) -> None:
        if self._error is not None:
            self._fail([entry], self._error)
            return
        self._waiting.append(entry)
        # A task that was cancelled before its first step could not reset `_task`.
        if self._caller is None and (self._task is None or self._task.done()):
            self._begin()

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self._name)

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = self._take()
                self._admit_callers()
                if not batch:  # all that waited was taken back; whoever was let in now is not
                    continue
                try:
                    results = await self._send([entry.item for entry in batch], batch[0].since)
                except asyncio.CancelledError:
                    self._fail(batch, self._error)  # None: all tasks of the loop were cancelled
                    raise
                except Exception as error:
                    self._fail(batch, error)
                    batch = []  # the error knows this frame, and would keep what has the error
                    continue
                for entry, result in zip(batch, results, strict=True):
                    if not entry.future.done():
                        entry.future.set_result(result)
        finally:
            self._task = None

    def _take(self) -> list[_Waiting[Item, Result]]:
        batch: list[_Waiting[Item, Result]] = []
        size = 0
        most = min(self._max_items, max(UNDIVIDED, (len(self._waiting) + 1) // 2))
        while self._waiting and len(batch) < most:
            if batch and size + self._waiting[0].size > self._max_bytes:
                break
            entry = self._waiting.popleft()
            if not entry.future.cancelled():
                batch.append(entry)
                size += entry.size
        return batch

    def _admit_callers(self) -> None:
        while self._callers and len(self._waiting) < self._max_pending:
            entry = self._callers.popleft()
            if not entry.future.done():
                self._enqueue(entry)

    @staticmethod
    def _fail(
        entries: Sequence[_Waiting[Item, Result]] | deque[_Waiting[Item, Result]],
        error: Exception | None,
    ) -> None:
        for entry in entries:
            if entry.future.done():
                continue
            if error is None:
                entry.future.cancel()
            else:
                entry.future.set_exception(error)
                entry.future.exception()  # a caller that went away need not fetch it
