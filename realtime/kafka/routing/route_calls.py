"""Asking a project's route for the rooms of records, for a bounded time.

A route is a project's own function: it may raise, wait for a database, or never return. So it
runs in a thread, a fetch's records together, and the pool's loop goes on: heartbeats are sent and
a SIGTERM is answered. A route that takes too long for one record is left behind with its thread,
which is interrupted where it runs Python, and the next record has another thread. A process that
was frozen finds the time over, although no route is to blame: it gives each record the time anew.

The route that comes with the pool only reads headers, and is called at once.
"""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import logging
import queue
import threading
import time
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, cast

from realtime.kafka.reading.record_format import UnreadRecord
from realtime.kafka.routing.bad_records import BadRecord, failed, judged
from realtime.kafka.routing.header_rules import EVERYBODY, Record, Route, is_announcement, route
from realtime.kafka.routing.route_threads import LOST, CallsUnderWay, RouteThread
from realtime.rooms.room_names import MAX_ROOM_NAME, is_open_room
from shardlayer import LoopDelay, ThrottledLog, stall_tolerant_timeout

logger = logging.getLogger(__name__)

CONCURRENT = 50  # calls of an async route that are under way at a time
MOST_STUCK = 4  # threads that were left behind and still run, past which the next has to wait
MARGIN = 0.5  # seconds in which an async route's own timeout ends it before its thread is left
LOOK_AGAIN = 0.1  # seconds between two looks at threads that are stuck

TRIES = 2  # for a record whose route lost its connection to the database
KEYS = 8_192  # keys of records of which it is remembered what room they name

Answer = Sequence[str] | BadRecord


class Router:
    """Names the rooms of records. Several may ask at the same time: each has a thread meanwhile.

    Args:
        route: A project's function, or coroutine function.
        most: Rooms of one record, at most.
        seconds: What the route may take for one record.
    """

    def __init__(self, route: Route, *, most: int, seconds: float) -> None:
        self._route = route
        self._most = most
        self._seconds = seconds
        self._idle: list[_Worker] = []  # as many, at most, as have asked at the same time
        self._is_closed = False
        self._stuck: list[_Worker] = []
        self._under_way = CallsUnderWay()
        self._complain = ThrottledLog(logger, logging.ERROR)

    async def rooms(self, records: Sequence[Any]) -> list[Answer]:
        """Return for each record its rooms, or why it has none."""
        known = self._known
        answers: list[Answer | None] = [known(record) for record in records]
        asked = [index for index, answer in enumerate(answers) if answer is None]
        if asked:
            found = await self._ask([records[index] for index in asked])
            for index, answer in zip(asked, found, strict=True):
                answers[index] = answer
        return cast(list[Answer], answers)

    def close(self) -> None:
        """End the threads, once they have nothing to do; one that hangs ends with the process."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().end()

    def _known(self, record: Any) -> Answer | None:
        """Return what needs no route, or one that can't take long."""
        if isinstance(record, UnreadRecord):
            return BadRecord(record.error)
        if record.headers and is_announcement(record):
            return [EVERYBODY]
        if self._route is not route:
            return None
        key = record.key
        if not record.headers and type(key) is bytes and len(key) <= MAX_ROOM_NAME:
            known = _named_by(key)
            if known is not None:
                return known
        try:
            return judged(route(record), most=self._most)
        except Exception as error:  # a header without a value, say
            return failed(error)

    async def _ask(self, records: Sequence[Record]) -> list[Answer]:
        answers: list[Answer] = []
        together = len(records)
        while len(answers) < len(records):
            begin = len(answers)
            await self._not_too_many_stuck()
            await self._under_way.lull()
            job = _Job(records[begin : begin + together], self._route, self._most, self._seconds)
            await self._run(job)
            found = job.answers_in_order()
            answers += found
            if job.overran and len(found) < len(job.records):  # the last may have come just now
                if len(job.records) > 1 and not job.is_sequential:
                    together = 1  # whose fault it is shows if each is asked for alone
                elif job.is_overdue(len(found)):
                    answers.append(_took_longer(self._seconds))
        return answers

    async def _run(self, job: _Job) -> None:
        """Have a thread do a job; leave it behind when it takes too long, or when cancelled.

        Time that is over while this process was frozen is prolonged, once if nothing comes of it.
        A loop that stood still while its process computed was held up by a route.
        """
        worker = await self._worker()
        job.prolong()  # the wait for a thread is not its time
        self._under_way.begin()
        worker.put(job)
        prolonged = 0.0  # until when
        try:
            while not job.done.is_set():
                with LoopDelay() as delay, suppress(TimeoutError):
                    await asyncio.wait_for(job.done.wait(), job.due - time.monotonic())
                if job.done.is_set() or job.due > time.monotonic():
                    continue  # it may have come to another record meanwhile
                if job.due == prolonged or not delay.is_most(frozen=True):
                    break
                prolonged = job.prolong()
        finally:
            self._under_way.end()
            if job.done.is_set():
                self._put_back(worker)
            else:
                job.overran = True
                worker.interrupt(job)
                self._stuck.append(worker)

    async def _worker(self) -> _Worker:
        """Return a thread that has nothing to do. While the system starts none, wait for one.

        To fail would end the consumer, which joins the group again and has all of it wait, for
        nothing as long as there is no thread.
        """
        while not self._idle:
            try:
                return _Worker()
            except (RuntimeError, MemoryError) as error:
                self._complain("KAFKA_ROUTE waits for a thread to be started: %s", error)
            await asyncio.sleep(LOOK_AGAIN)
        return self._idle.pop()

    def _put_back(self, worker: _Worker) -> None:
        if self._is_closed:
            worker.end()
        else:
            self._idle.append(worker)

    async def _not_too_many_stuck(self) -> None:
        said = False
        while True:
            self._stuck = [worker for worker in self._stuck if worker.is_alive()]
            if len(self._stuck) < MOST_STUCK:
                return
            if not said:
                said = True
                logger.error(
                    "%d calls of KAFKA_ROUTE hang, and can't be ended; waiting for one of them.",
                    len(self._stuck),
                )
            await asyncio.sleep(LOOK_AGAIN)


@lru_cache(KEYS)
def _named_by(key: bytes) -> tuple[str] | None:
    """Return the room that a key names, as `route` has it, if it may be one."""
    name = key.decode("utf-8", "replace")
    return (name,) if is_open_room(name) else None


class _Overrun(BaseException):
    """Raised in a thread that was left behind."""


class _Job:
    """Records to route, in a thread.

    Attributes:
        records: Which.
        is_sequential: Whether they are asked for one after the other.
        done: Set in the loop that made it.
        due: When the thread is left behind, by the monotonic clock.
        overran: Whether it was: it asks for no more records.
        begun: How many of the records the thread has come to.
    """

    def __init__(self, records: Sequence[Record], route: Route, most: int, seconds: float) -> None:
        self.records = records
        self.is_sequential = not _is_async(route)
        self.done = asyncio.Event()
        self.overran = False
        self.begun = 0
        self._route: Any = route
        self._most = most
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._answers: list[Answer | None] = [None] * len(records)
        self.due = self.prolong()

    def prolong(self) -> float:
        """Have the thread left behind only after the time for one record; return when, in `due`."""
        self.due = time.monotonic() + self._seconds + (0 if self.is_sequential else MARGIN)
        return self.due

    def answers_in_order(self) -> list[Answer]:
        """Return the answers up to the first that is not there."""
        found = []
        for answer in list(self._answers):
            if answer is None:
                break
            found.append(answer)
        return found

    def run(self, thread: RouteThread) -> None:
        """Do it, in the thread."""
        thread.close_old()  # a route may ask the database
        if self.is_sequential:
            for index, record in enumerate(self.records):
                if self.overran:  # before the thread could be interrupted
                    return
                self._begin(index + 1)
                self._answers[index] = self._sequential(record, thread)
        elif not self.overran:
            self._begin(len(self.records))
            thread.wait_for(self._all_at_once(thread))
        if not self.overran:
            self._loop.call_soon_threadsafe(self.done.set)

    def is_overdue(self, index: int) -> bool:
        """Say whether the time for a record without an answer is over, once the thread was left.

        It is not to blame where the thread was left behind for the one before it, whose answer came
        just then, or where the thread has not come to it.
        """
        return self.begun > index and self.due <= time.monotonic()

    def _begin(self, count: int) -> None:
        self.prolong()  # first: who sees that the thread has come to a record sees its time
        self.begun = count

    def _sequential(self, record: Record, thread: RouteThread) -> Answer:
        try:
            return self._tried(record, thread)
        except _Overrun:
            raise
        except BaseException as error:  # SystemExit, too: one record must not stop the rest
            return failed(error)

    def _tried(self, record: Record, thread: RouteThread, tries: int = TRIES) -> Sequence[str]:
        """Ask for a record, and once more on another connection if the database was lost."""
        try:
            answer = self._route(record)
            if inspect.isawaitable(answer):
                answer = thread.wait_for(self._in_time(answer))
            return judged(answer, most=self._most)
        except BadRecord:
            raise
        except Exception as error:
            thread.close_lost()
            if tries == 1 or not isinstance(error, LOST):
                raise
        return self._tried(record, thread, tries - 1)

    async def _in_time(self, answer: Awaitable[Any]) -> Any:
        """Await what a route returned. Its time is prolonged once if this loop stood still.

        If that was the route's own doing, the pool's loop went on, and leaves the thread behind.

        Raises:
            BadRecord: It took longer.
        """
        try:
            async with stall_tolerant_timeout(self._seconds) as limit:
                return await answer
        except _Overrun:
            raise
        except BaseException as error:
            if limit.expired():
                raise _took_longer(self._seconds) from error
            raise

    async def _all_at_once(self, thread: RouteThread) -> None:
        free = asyncio.Semaphore(CONCURRENT)

        async def one(index: int, record: Record) -> None:
            async with free:
                self.prolong()
                self._answers[index] = await self._asynchronous(record, thread)
                self.prolong()

        await asyncio.gather(*(one(index, record) for index, record in enumerate(self.records)))

    async def _asynchronous(self, record: Record, thread: RouteThread) -> Answer:
        try:
            rooms: Sequence[str] = await self._in_time(self._awaited(record, thread))
            return rooms
        except _Overrun:
            raise
        except BaseException as error:
            return failed(error)

    async def _awaited(
        self, record: Record, thread: RouteThread, tries: int = TRIES
    ) -> Sequence[str]:
        """Do what `_tried` does, for an asynchronous route."""
        try:
            return judged(await self._route(record), most=self._most)
        except BadRecord:
            raise
        except Exception as error:
            thread.close_lost_of_loop()
            if tries == 1 or not isinstance(error, LOST):
                raise
        return await self._awaited(record, thread, tries - 1)


class _Worker:
    """A thread that does one job after another. It ends with the process, whatever it does."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._work, name="realtime: route records", daemon=True
        )
        self._thread.start()

    def put(self, job: _Job) -> None:
        self._jobs.put(job)

    def end(self) -> None:
        self._jobs.put(None)

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def interrupt(self, job: _Job) -> None:
        """End it, if it runs Python; what waits in a system call is interrupted behind that."""
        self._jobs.put(None)
        if job.begun and self._thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident), ctypes.py_object(_Overrun)
            )

    def _work(self) -> None:
        with suppress(_Overrun):  # it may be told anywhere, also while it ends
            self._do_jobs()

    def _do_jobs(self) -> None:
        runner = asyncio.Runner()  # has a loop once an async route needs it
        thread = RouteThread(runner)
        try:
            while (job := self._jobs.get()) is not None:
                job.run(thread)
        except _Overrun:
            pass  # nobody waits for it any more
        except RuntimeError:  # the pool's loop is closed
            logger.debug("A route's thread ended.", exc_info=True)
        finally:
            _close(runner)


def _took_longer(seconds: float) -> BadRecord:
    return BadRecord(f"the route took longer than {seconds:g} s for it")


def _close(runner: asyncio.Runner) -> None:
    try:
        runner.close()
    except _Overrun:  # told only now; it is told once
        runner.close()


def _is_async(route: object) -> bool:
    return inspect.iscoroutinefunction(route) or inspect.iscoroutinefunction(
        getattr(route, "__call__", None)  # noqa: B004 - an object's own method
    )
