"""Sends at once when idle, together under load, and never more than may wait."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from shardlayer.aio.batcher import Batcher
from tests.waiting import PATIENCE


class Receiver:
    """Takes batches; each stays in flight until it is answered."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.answers: list[asyncio.Future[None]] = []
        self.arrived = asyncio.Event()

    async def __call__(self, items: list[bytes], _since: float) -> Sequence[int]:
        self.batches.append(items)
        answer = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        self.arrived.set()
        await answer
        return [len(item) for item in items]

    async def next_batch(self) -> list[bytes]:
        await asyncio.wait_for(self.arrived.wait(), PATIENCE)
        self.arrived.clear()
        return self.batches[-1]

    def answer(self, error: Exception | None = None) -> None:
        future = self.answers[-1]
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def batcher(
    receiver: Receiver,
    *,
    max_items: int = 100,
    max_bytes: int = 1_000,
    max_pending: int = 1_000,
    is_busy: bool = False,
) -> Batcher[bytes, int]:
    return Batcher(
        receiver,
        size_of=len,
        max_items=max_items,
        max_bytes=max_bytes,
        max_pending=max_pending,
        name="test",
        is_busy=lambda: is_busy,
    )


async def start(puts: Batcher[bytes, int], *items: bytes) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(puts.put(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def test_idle_batcher_sends_at_once_and_the_rest_leaves_together() -> None:
    """The first item leaves alone; what comes while it is in flight is the next batch."""
    receiver = Receiver()
    puts = batcher(receiver)
    first = await start(puts, b"1")
    assert await receiver.next_batch() == [b"1"]
    rest = await start(puts, b"22", b"333")
    assert receiver.batches == [[b"1"]]
    receiver.answer()
    assert await receiver.next_batch() == [b"22", b"333"]
    receiver.answer()
    assert await asyncio.gather(*first, *rest) == [1, 2, 3]


async def test_busy_batcher_gathers_the_items_of_one_turn() -> None:
    """While others send, the first item waits for those of its turn of the loop, and no longer."""
    receiver = Receiver()
    puts = batcher(receiver, is_busy=True)
    tasks = await start(puts, b"1", b"22", b"333")
    assert await receiver.next_batch() == [b"1", b"22", b"333"]
    receiver.answer()
    assert await asyncio.gather(*tasks) == [1, 2, 3]


async def test_batch_is_bounded_in_items() -> None:
    """No batch has more than `max_items`."""
    receiver = Receiver()
    tasks = await start(batcher(receiver, max_items=2), b"a", b"b", b"c", b"d")
    for expected in ([b"a"], [b"b", b"c"], [b"d"]):
        assert await receiver.next_batch() == expected
        receiver.answer()
    await asyncio.gather(*tasks)


async def test_batch_is_bounded_in_bytes_and_a_larger_item_goes_alone() -> None:
    """No batch has more than `max_bytes`, but for one item that alone has more."""
    receiver = Receiver()
    tasks = await start(batcher(receiver, max_bytes=10), b"x" * 6, b"y" * 6, b"z" * 20, b"w")
    for expected in ([b"x" * 6], [b"y" * 6], [b"z" * 20], [b"w"]):
        assert await receiver.next_batch() == expected
        receiver.answer()
    await asyncio.gather(*tasks)


async def test_caller_waits_when_too_much_is_pending() -> None:
    """Past `max_pending` callers wait in their order, and nothing is queued for them."""
    receiver = Receiver()
    puts = batcher(receiver, max_items=1, max_pending=2)
    in_flight = await start(puts, b"0")
    await receiver.next_batch()
    queued = await start(puts, b"1", b"2")
    waiting = await start(puts, b"3", b"4")
    assert len(puts) == 2
    sent = [b"0"]
    for _ in range(4):
        receiver.answer()
        sent += await receiver.next_batch()
        assert len(puts) <= 2
    receiver.answer()
    await asyncio.gather(*in_flight, *queued, *waiting)
    assert sent == [b"0", b"1", b"2", b"3", b"4"]


async def test_cancelled_caller_takes_its_item_back() -> None:
    """An item that has not left is not sent for a caller that was cancelled."""
    receiver = Receiver()
    puts = batcher(receiver)
    first = await start(puts, b"1")
    await receiver.next_batch()
    gone, stays = await start(puts, b"gone", b"stays")
    gone.cancel()
    await asyncio.sleep(0)
    receiver.answer()
    assert await receiver.next_batch() == [b"stays"]
    receiver.answer()
    assert await asyncio.gather(*first, stays) == [1, 5]


async def test_caller_cancelled_while_it_waits_for_room_lets_the_next_one_in() -> None:
    """A place in the queue of callers is not lost with the caller."""
    receiver = Receiver()
    puts = batcher(receiver, max_items=1, max_pending=1)
    tasks = await start(puts, b"0")
    await receiver.next_batch()
    tasks += await start(puts, b"1")
    gone, stays = await start(puts, b"2", b"3")
    gone.cancel()
    for _ in range(2):
        receiver.answer()
        await receiver.next_batch()
    receiver.answer()
    assert await asyncio.gather(*tasks, stays) == [1, 1, 1]
    assert receiver.batches == [[b"0"], [b"1"], [b"3"]]


async def test_callers_who_wait_for_room_get_it_when_all_before_them_are_cancelled() -> None:
    """Whoever waits for room is let in, and sent, though nothing is left of what waited first."""
    receiver = Receiver()
    puts = batcher(receiver, max_pending=1)
    first = await start(puts, b"0")
    await receiver.next_batch()
    (gone,) = await start(puts, b"1")
    (stays,) = await start(puts, b"22")
    gone.cancel()
    receiver.answer()
    assert await receiver.next_batch() == [b"22"]
    receiver.answer()
    assert await asyncio.gather(*first, stays) == [1, 2]


async def test_failed_batch_fails_its_own_callers_only() -> None:
    """An error goes to those whose items were in the batch; the next batch is sent."""
    receiver = Receiver()
    puts = batcher(receiver)
    (first,) = await start(puts, b"1")
    await receiver.next_batch()
    (second,) = await start(puts, b"2")
    receiver.answer(OSError("lost"))
    with pytest.raises(OSError, match="lost"):
        await first
    await receiver.next_batch()
    receiver.answer()
    assert await second == 1


async def test_put_all_answers_each_item_in_order() -> None:
    """Many items in one call leave in batches and are answered one by one."""
    receiver = Receiver()
    puts = batcher(receiver, max_items=2, max_pending=3)
    call = puts.put_all([b"1", b"22", b"333", b"4444"])
    await receiver.next_batch()
    receiver.answer(OSError("lost"))
    await receiver.next_batch()
    receiver.answer()
    answers = await call
    assert [type(answer) for answer in answers[:2]] == [OSError, OSError]
    assert answers[2:] == [3, 4]


async def test_put_all_has_its_places_before_it_is_awaited() -> None:
    """Though there is no room for all of its items: what is put later comes behind them."""
    receiver = Receiver()
    puts = batcher(receiver, max_items=2, max_pending=2)
    call = puts.put_all([b"1", b"2", b"3"])
    (later,) = await start(puts, b"44")
    for batch in ([b"1", b"2"], [b"3", b"44"]):
        assert await receiver.next_batch() == batch
        receiver.answer()
    assert await call == [1, 1, 1]
    assert await later == 2


async def test_put_all_that_is_cancelled_takes_back_what_waits() -> None:
    """What is in flight is sent; what waits, in the queue and before it, is not."""
    receiver = Receiver()
    puts = batcher(receiver, max_items=2, max_pending=1)
    waiting = asyncio.ensure_future(puts.put_all([b"1", b"2", b"3"]))
    assert await receiver.next_batch() == [b"1"]
    (later,) = await start(puts, b"44")
    waiting.cancel()
    receiver.answer()
    assert await receiver.next_batch() == [b"44"]
    receiver.answer()
    assert await later == 2
    assert len(puts) == 0
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_put_all_of_nothing() -> None:
    """It waits for nobody."""
    assert await batcher(Receiver()).put_all([]) == []


@pytest.mark.parametrize("together", [False, True])
async def test_errors_keep_nothing(together: bool) -> None:
    """What `send` raised is forgotten with its batch, without the collector."""
    alive: weakref.WeakSet[Exception] = weakref.WeakSet()

    class Lost(Exception):
        def __init__(self) -> None:
            alive.add(self)

    async def send(_items: list[bytes], _since: float) -> Sequence[int]:
        raise Lost

    async def put() -> None:
        with suppress(Lost):
            await (puts.put_all([b"1", b"22"]) if together else puts.put(b"1"))

    puts = Batcher(
        send,
        size_of=len,
        max_items=100,
        max_bytes=1_000,
        max_pending=1_000,
        name="test",
        is_busy=lambda: True,
    )
    gc.disable()
    try:
        await asyncio.create_task(put())
        await puts.drain()
        assert not alive
    finally:
        gc.enable()


async def test_drain_waits_for_everything() -> None:
    """After `drain` nothing waits and nothing is in flight."""
    receiver = Receiver()
    puts = batcher(receiver, max_items=1)
    tasks = await start(puts, b"1", b"2")
    drained = asyncio.create_task(puts.drain())
    for _ in range(2):
        await receiver.next_batch()
        assert not drained.done()
        receiver.answer()
    await asyncio.wait_for(drained, PATIENCE)
    assert all(task.done() for task in tasks)


async def test_close_leaves_nobody_waiting() -> None:
    """Who waits, is in flight or comes later gets the error, in a task that nobody cancelled."""
    receiver = Receiver()
    puts = batcher(receiver, max_items=1, max_pending=1)
    error = ConnectionError("closed")
    cancellations = []

    async def put(item: bytes) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            await puts.put(item)
        finally:
            cancellations.append(task.cancelling())

    tasks = [asyncio.create_task(put(item)) for item in (b"1", b"2", b"3")]
    await receiver.next_batch()
    await puts.aclose(error)
    tasks.append(asyncio.create_task(put(b"4")))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results == [error] * 4
    assert cancellations == [0] * 4
    assert await puts.put_all([b"5", b"6"]) == [error] * 2


async def test_close_while_a_batch_is_in_flight() -> None:
    """Those whose items are in it get the error too."""
    receiver = Receiver()
    puts = batcher(receiver, is_busy=True)
    tasks = await start(puts, b"1", b"2")
    assert await receiver.next_batch() == [b"1", b"2"]
    error = ConnectionError("closed")
    await puts.aclose(error)
    assert await asyncio.gather(*tasks, return_exceptions=True) == [error] * 2


@pytest.mark.parametrize("first", ["cancel", "close"])
async def test_caller_that_is_cancelled_while_it_closes_is_cancelled(first: str) -> None:
    """Closing does not swallow what somebody else asked for."""
    receiver = Receiver()
    puts = batcher(receiver)
    (task,) = await start(puts, b"1")
    await receiver.next_batch()
    closing = asyncio.create_task(puts.aclose(ConnectionError("closed")))
    if first == "cancel":
        task.cancel()
        await asyncio.sleep(0)
    else:
        await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await closing


async def test_answer_that_came_as_it_closed() -> None:
    """Either outcome is told, and the caller's task goes on."""
    receiver = Receiver()
    puts = batcher(receiver)
    (task,) = await start(puts, b"1")
    await receiver.next_batch()
    receiver.answer()
    await puts.aclose(ConnectionError("closed"))
    with pytest.raises(ConnectionError):
        await task
    assert task.cancelling() == 0


async def test_task_that_was_cancelled_before_it_began_is_replaced() -> None:
    """A loop that winds up may cancel the sending task before its first step."""
    receiver = Receiver()
    puts = batcher(receiver)
    (first,) = await start(puts, b"0")
    await receiver.next_batch()
    (lost,) = await start(puts, b"1")
    loop = asyncio.get_running_loop()

    def stillborn(
        loop: asyncio.AbstractEventLoop, coroutine: Any, **arguments: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **arguments)
        task.cancel()
        return task

    loop.set_task_factory(stillborn)
    receiver.answer()
    assert await first == 1
    loop.set_task_factory(None)
    await puts.drain()
    (second,) = await start(puts, b"2")
    await receiver.next_batch()
    receiver.answer()
    assert await second == 1
    assert await lost == 1


@pytest.mark.parametrize(
    ("waiting", "sizes"), [(100, [100]), (150, [100, 50]), (300, [150, 100, 50]), (2_000, [400])]
)
async def test_half_of_many_stays_for_the_next_batch(waiting: int, sizes: list[int]) -> None:
    """So that there is something to send while the callers of this one put again."""
    receiver = Receiver()
    puts = batcher(receiver, max_items=400, max_bytes=100_000, max_pending=2_000)
    tasks = await start(puts, b"first")
    tasks += await start(puts, *[b"x"] * waiting)
    for size in sizes:
        receiver.arrived.clear()
        receiver.answer()
        assert len(await receiver.next_batch()) == size
    await puts.aclose(ConnectionError())
    await asyncio.gather(*tasks, return_exceptions=True)
