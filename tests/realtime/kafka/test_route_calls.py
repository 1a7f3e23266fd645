"""A project's route is asked for a bounded time, in a thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from realtime.kafka.reading.record_format import UnreadRecord
from realtime.kafka.routing import route_calls as module
from realtime.kafka.routing.bad_records import BadRecord, judged
from realtime.kafka.routing.header_rules import EVERYBODY, Record, route
from realtime.kafka.routing.route_calls import Router
from realtime.rooms.room_names import OWN_ROOMS
from tests.no_threads import no_more_threads
from tests.realtime.kafka.records import FakeRecord, with_room
from tests.waiting import PATIENCE, until, wait_until

MOST = 10  # rooms
WORKERS_OWN = [room.encode() for room in sorted(OWN_ROOMS)]
SECONDS = 3.0  # that a route may take; a busy machine may let its thread wait for a while
FOREVER = 60.0  # seconds
RELEASED = threading.Event()  # ends what would take so long

MakeRouter = Callable[..., Router]


@pytest.fixture
async def make() -> AsyncIterator[MakeRouter]:
    """Makes routers that are closed after the test, in a process that has asgiref's one thread.

    All routers use that thread, and it stays as long as the process does.
    """
    await sync_to_async(threading.current_thread)()
    routers: list[Router] = []

    def make(route: Any, *, seconds: float = SECONDS) -> Router:
        router = Router(route, most=MOST, seconds=seconds)
        routers.append(router)
        return router

    yield make
    for router in routers:
        router.close()


def keyed(*keys: str) -> list[FakeRecord]:
    """Return records with these keys."""
    return [FakeRecord(key=key.encode()) for key in keys]


def words(answers: Sequence[Sequence[str] | BadRecord]) -> list[object]:
    """Return answers so that they can be compared."""
    return [str(answer) if isinstance(answer, BadRecord) else list(answer) for answer in answers]


def key_of(record: Record) -> str:
    """Return a record's key as text."""
    return (record.key or b"").decode()


async def test_own_route_is_not_asked_in_a_thread(make: MakeRouter) -> None:
    """The pool's own route is called at once; what raises in it costs its record."""
    router = make(route)
    records = [with_room(b"a"), FakeRecord(headers=(("room", None),)), FakeRecord()]  # type: ignore[arg-type]
    before = set(threading.enumerate())
    first, second, third = words(await router.rooms(records))
    assert first == ["a"]
    assert str(second).startswith("the route failed: AttributeError")
    assert str(third).startswith("no room")
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    "key", [b"a", b"a b", b"", b"caf\xe9", b"x" * 99, b"x" * 100, *WORKERS_OWN]
)
async def test_what_a_key_names_is_remembered(make: MakeRouter, key: bytes) -> None:
    """Asked twice, a key without headers gets what the rules say of it."""
    try:
        expected: object = list(judged(route(FakeRecord(key=key)), most=MOST))
    except BadRecord as error:
        expected = str(error)
    router = make(route)
    for _ in range(2):
        assert words(await router.rooms([FakeRecord(key=key)])) == [expected]


async def test_what_needs_no_route_does_not_ask_it(make: MakeRouter) -> None:
    """Announcements go to everybody, and what can't be read is bad for its own reason."""
    unread = UnreadRecord(topic="t", partition=0, offset=1, error="its batch is broken")
    announcement = FakeRecord(headers=(("kind", b"maintenance-notify"),))
    router = make(lambda record: [key_of(record)])
    answers = await router.rooms([unread, announcement, *keyed("a")])
    assert words(answers) == ["its batch is broken", [EVERYBODY], ["a"]]


async def test_answers_are_in_order(make: MakeRouter) -> None:
    """One record that it fails for, in whatever way, costs that record."""

    def fails(record: Record) -> list[str]:
        key = key_of(record)
        if key == "exit":
            raise SystemExit(3)
        if key == "cancel":
            raise asyncio.CancelledError
        if key == "interrupt":
            raise KeyboardInterrupt
        return [key] if key != "bad" else [key[1_000]]

    router = make(fails)
    for _ in range(2):
        found = words(await router.rooms(keyed("a", "exit", "b", "cancel", "bad", "interrupt")))
        assert found[0] == ["a"]
        assert found[2] == ["b"]
        assert [str(found[index])[:17] for index in (1, 3, 4, 5)] == ["the route failed:"] * 4


def lazy(record: Record) -> Iterator[str]:
    """Yield rooms."""
    yield key_of(record)
    yield "second"


async def coroutine(record: Record) -> list[str]:
    """Return rooms after a while."""
    await asyncio.sleep(0.001)
    return [key_of(record), "second"]


class CoroutineObject:
    """An object that is a route."""

    async def __call__(self, record: Record) -> list[str]:
        """Return rooms."""
        return [key_of(record), "second"]


def returns_coroutine(record: Record) -> Awaitable[list[str]]:
    """Return what has to be awaited."""
    return coroutine(record)


@pytest.mark.parametrize("route", [lazy, coroutine, CoroutineObject(), returns_coroutine])
async def test_forms_of_routes(route: Any, make: MakeRouter) -> None:
    """Generators, coroutine functions, and what returns something to be awaited are routes too."""
    router = make(route)
    for _ in range(2):
        assert words(await router.rooms(keyed("a", "b"))) == [["a", "second"], ["b", "second"]]


async def test_calls_of_async_routes_overlap(make: MakeRouter) -> None:
    """A route that waits for something else does so for many records at a time."""
    under_way = most = 0

    async def counts(record: Record) -> list[str]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return [key_of(record)]

    keys = [str(number) for number in range(120)]
    assert words(await make(counts, seconds=FOREVER).rooms(keyed(*keys))) == [[k] for k in keys]
    assert most == module.CONCURRENT


def spins(record: Record) -> list[str]:
    """Never return for one record."""
    while key_of(record) == "hang":
        pass
    return [key_of(record)]


def sleeps(record: Record) -> list[str]:
    """Wait in a system call for one record."""
    if key_of(record) == "hang":
        time.sleep(2 * SECONDS)
    return [key_of(record)]


async def waits(record: Record) -> list[str]:
    """Wait for what never comes, for one record."""
    if key_of(record) == "hang":
        await asyncio.sleep(FOREVER)
    return [key_of(record)]


async def blocks(record: Record) -> list[str]:
    """Block its loop for one record."""
    if key_of(record) == "hang":
        RELEASED.wait(FOREVER)  # the fault that it stands for
    return [key_of(record)]


def endless(record: Record) -> Iterator[str]:
    """Yield slower and slower."""
    yield key_of(record)
    while key_of(record) == "hang":
        pass


@pytest.mark.parametrize("route", [spins, sleeps, waits, blocks, endless])
async def test_record_that_hangs_costs_its_time_and_no_more(route: Any, make: MakeRouter) -> None:
    """The others have their rooms, and the loop goes on meanwhile; no thread stays behind."""
    RELEASED.clear()
    before = set(threading.enumerate())
    router = make(route)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    counting = asyncio.create_task(count_turns())
    found = words(await router.rooms(keyed("a", "hang", "b", "c")))
    counting.cancel()
    assert found == [["a"], f"the route took longer than {SECONDS:g} s for it", ["b"], ["c"]]
    assert turns > 1
    router.close()
    RELEASED.set()
    await until(lambda: set(threading.enumerate()) <= before)


class Standstill:
    """Routes that stand still while the process does, and what stops it.

    Args:
        answers: Whether they answer once the process goes on; else never.
    """

    def __init__(self, *, answers: bool) -> None:
        self._answers = answers
        self._asked = threading.Event()
        self._goes_on = threading.Event()
        self._never = threading.Event()

    def waits(self, record: Record) -> list[str]:
        """Wait in the thread."""
        self._asked.set()
        (self._goes_on if self._answers else self._never).wait(FOREVER)
        return [key_of(record)]

    async def awaits(self, record: Record) -> list[str]:
        """Wait in the thread's loop, which stands still, and once more when it goes on."""
        loop = asyncio.get_running_loop()
        loop.call_soon(self._asked.set)
        loop.call_soon(self._goes_on.wait, FOREVER)
        await asyncio.sleep(0.1)
        await asyncio.sleep(0.1 if self._answers else FOREVER)
        return [key_of(record)]

    def returns_awaitable(self, record: Record) -> Awaitable[list[str]]:
        """Return what waits."""
        return self.awaits(record)

    async def stop_process(self, seconds: float) -> None:
        """Have the loop stand still, and the route's thread with it."""
        await until(self._asked.is_set)
        time.sleep(seconds)  # noqa: ASYNC251
        # The thread, too, goes on a moment later: the loop finds first that the time is over.
        asyncio.get_running_loop().call_later(0.1, self._goes_on.set)

    def end(self) -> None:
        """Let threads end."""
        self._goes_on.set()
        self._never.set()


ROUTES_THAT_STAND_STILL = ["waits", "awaits", "returns_awaitable"]


@pytest.mark.parametrize("name", ROUTES_THAT_STAND_STILL)
async def test_process_that_was_frozen_costs_no_record(name: str, make: MakeRouter) -> None:
    """Its routes had no time, whatever the clock says: they are given it once more."""
    still = Standstill(answers=True)
    router = make(getattr(still, name))
    asking = asyncio.create_task(router.rooms(keyed("a")))
    await still.stop_process(SECONDS + 0.5)
    assert words(await asking) == [["a"]]


async def test_route_that_lets_no_other_thread_run_is_found(
    make: MakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool's loop stands still with it, as in a regular expression; the process computes."""
    monkeypatch.setattr("shardlayer.aio.loop_delay.process_time", time.monotonic)
    still = Standstill(answers=True)
    router = make(still.waits)
    asking = asyncio.create_task(router.rooms(keyed("a")))
    await still.stop_process(SECONDS + 0.5)
    assert words(await asking) == [f"the route took longer than {SECONDS:g} s for it"]
    still.end()


@pytest.mark.parametrize("name", ROUTES_THAT_STAND_STILL)
async def test_route_that_hangs_is_found_although_the_process_was_frozen(
    name: str, make: MakeRouter
) -> None:
    """The time is given once more, not for good."""
    still = Standstill(answers=False)
    router = make(getattr(still, name), seconds=0.5)
    asking = asyncio.create_task(router.rooms(keyed("a")))
    await still.stop_process(1.0)
    assert words(await asking) == ["the route took longer than 0.5 s for it"]
    still.end()


async def test_cancelled_while_it_hangs(make: MakeRouter) -> None:
    """Who asks may give up at any time, as the pool does when it is told to stop."""
    asked: list[threading.Thread] = []

    def hangs(record: Record) -> list[str]:
        asked.append(threading.current_thread())
        return spins(record)

    router = make(hangs, seconds=10 * PATIENCE)
    asking = asyncio.create_task(router.rooms(keyed("hang")))
    await until(lambda: asked)
    asking.cancel()
    await asyncio.wait([asking], timeout=PATIENCE)
    assert asking.cancelled()
    assert words(await router.rooms(keyed("a"))) == [["a"]]
    router.close()
    await until(lambda: not any(thread.is_alive() for thread in asked))
    assert len(asked) == 2


async def test_consumers_that_ask_at_the_same_time_have_a_thread_each(make: MakeRouter) -> None:
    """Two at a time need two threads, however often; none is left, whenever the end comes."""
    threads: set[threading.Thread] = set()
    met = threading.Barrier(2)

    def meets(record: Record) -> list[str]:
        threads.add(threading.current_thread())
        met.wait(PATIENCE)
        return [key_of(record)]

    router = make(meets, seconds=2 * PATIENCE)
    for _ in range(5):
        found = await asyncio.gather(router.rooms(keyed("a")), router.rooms(keyed("b")))
        assert [words(answers) for answers in found] == [[["a"]], [["b"]]]
    assert len(threads) == 2
    asking = [asyncio.create_task(router.rooms(keyed(key))) for key in "ab"]
    await until(lambda: met.n_waiting == 1 or all(task.done() for task in asking))
    router.close()
    await asyncio.gather(*asking)
    await until(lambda: not any(thread.is_alive() for thread in threads))


async def test_threads_that_hang_are_bounded(
    make: MakeRouter, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a route hangs each time in what can't be interrupted, the next record waits."""
    release = threading.Event()
    seconds = 0.5

    def stuck(record: Record) -> list[str]:
        release.wait(FOREVER)
        return [key_of(record)]

    router = make(stuck, seconds=seconds)
    asking = asyncio.create_task(router.rooms(keyed(*"abcdef")))
    await until(lambda: "hang, and can't be ended" in caplog.text)
    assert caplog.text.count("4 calls of KAFKA_ROUTE hang") == 1
    router._seconds = FOREVER  # the others are not what hangs
    await asyncio.sleep(2 * seconds)  # the wait for a thread is not their time
    release.set()
    found = words(await asking)
    assert found == ["the route took longer than 0.5 s for it"] * 4 + [["e"], ["f"]]


async def test_no_thread_can_be_started(make: MakeRouter, caplog: pytest.LogCaptureFixture) -> None:
    """Records wait for one, and that is not the route's time; who asks may give up meanwhile."""
    router = make(lambda record: [key_of(record)])
    with no_more_threads():
        given_up = asyncio.create_task(router.rooms(keyed("x")))
        asking = asyncio.create_task(router.rooms(keyed("a", "b")))
        await until(lambda: "waits for a thread" in caplog.text)
        given_up.cancel()
        await asyncio.sleep(SECONDS * 1.1)  # longer than the route may take
        assert given_up.cancelled()
        assert not asking.done()
        assert caplog.text.count("can't start new thread") == 1  # once a minute
    assert words(await asyncio.wait_for(asking, PATIENCE)) == [["a"], ["b"]]


class JustLate:
    """A route that answers as soon as its thread was left behind, before anybody looks.

    Args:
        hangs: The key of the record for which it waits until then, the first time.
    """

    def __init__(self, hangs: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self._hangs = hangs
        self._left = threading.Event()
        interrupt = module._Worker.interrupt

        def interrupt_late(worker: Any, job: Any) -> None:
            self._left.set()
            wait_until(lambda: len(job.answers_in_order()) >= job.begun)
            interrupt(worker, job)

        monkeypatch.setattr(module._Worker, "interrupt", interrupt_late)

    def __call__(self, record: Record) -> list[str]:
        """Return a room named by the key."""
        self.asked.append(key_of(record))
        if key_of(record) == self._hangs:
            self._left.wait(FOREVER)
        return [key_of(record)]

    async def awaited(self, record: Record) -> list[str]:
        """Do so as a coroutine function; it blocks its loop."""
        return self(record)


@pytest.mark.parametrize("is_async", [False, True])
async def test_last_answer_that_is_just_too_late(
    is_async: bool, make: MakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts, no record is said to have taken longer, and its thread ends."""
    before = set(threading.enumerate())
    late = JustLate("a", monkeypatch)
    router = make(late.awaited if is_async else late, seconds=0.2)
    assert words(await router.rooms(keyed("a"))) == [["a"]]
    assert words(await router.rooms(keyed("b"))) == [["b"]]
    router.close()
    await until(lambda: set(threading.enumerate()) <= before)


async def test_record_behind_an_answer_that_is_just_too_late(
    make: MakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the one that took so long: it is asked for as any other."""
    late = JustLate("b", monkeypatch)
    router = make(late, seconds=0.2)
    assert words(await router.rooms(keyed(*"abc"))) == [["a"], ["b"], ["c"]]
    assert late.asked == ["a", "b", "c"]
