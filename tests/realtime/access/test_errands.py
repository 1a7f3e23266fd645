"""Works that nobody waits for: their order, their failures, and their limit."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from realtime.access import errands
from realtime.access.errands import BackgroundErrands, drop_errands
from realtime.clients.client_counters import counters
from shardlayer import ShardUnavailable
from tests.no_threads import TOO_LARGE, no_more_threads
from tests.waiting import PATIENCE, wait_until

AWAY = ShardUnavailable(shard=0, server="redis://x", reason="it is away")


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A work is tried again soon."""
    monkeypatch.setattr(errands, "RETRY_PAUSE", 0.01)


def test_in_order_and_not_here() -> None:
    """One after another, in a thread that is not the caller's and ends."""
    works, done, threads = BackgroundErrands("errands of a test", most=100), [], set()

    def work(number: int) -> Callable[[], None]:
        def do() -> None:
            done.append(number)
            threads.add(threading.current_thread())

        return do

    for number in range(100):
        assert works.run(work(number))
    wait_until(lambda: len(done) == 100)
    assert done == list(range(100))
    assert threading.current_thread() not in threads
    wait_until(lambda: not any(thread.is_alive() for thread in threads))


def test_is_tried_until_redis_is_back() -> None:
    """What comes after it waits, so that the order stays."""
    works, done, failures = BackgroundErrands("errands of a test", most=9), [], [AWAY] * 3

    def stubborn() -> None:
        if failures:
            raise failures.pop()
        done.append("first")

    works.run(stubborn)
    works.run(lambda: done.append("second"))
    wait_until(lambda: len(done) == 2)
    assert done == ["first", "second"]


def test_what_fails_is_left_out() -> None:
    """It is counted and logged, and the next one is done."""
    works, done = BackgroundErrands("errands of a test", most=9), []
    before = counters.sign_outs_untold
    works.run(lambda: [][1])
    works.run(lambda: done.append("next"))
    wait_until(lambda: bool(done))
    assert counters.sign_outs_untold == before + 1


def test_dropped() -> None:
    """What was begun is over then, what waited for Redis too, and the rest is never done."""
    works, begun, done = BackgroundErrands("errands of a test", most=9), threading.Event(), []

    def away() -> None:
        begun.set()
        raise AWAY

    works.run(away)
    works.run(lambda: done.append("never"))
    begun.wait(PATIENCE)
    drop_errands()
    works.run(lambda: done.append("later"))
    wait_until(lambda: bool(done))
    assert done == ["later"]


def test_line_is_bounded() -> None:
    """Past the limit a work is refused and counted; later there is place again."""
    works, gate, done = BackgroundErrands("errands of a test", most=2), threading.Event(), []
    works.run(lambda: done.append(gate.wait(PATIENCE)))
    works.run(lambda: done.append(True))
    before = counters.sign_outs_untold
    assert not works.run(lambda: done.append(True))
    assert counters.sign_outs_untold == before + 1
    gate.set()
    wait_until(lambda: len(done) == 2)
    wait_until(lambda: works.run(lambda: None))


def test_no_thread_could_be_started(caplog: pytest.LogCaptureFixture) -> None:
    """Who has something done is not told; it is done, first, once a thread can be started."""
    works, done = BackgroundErrands("errands of a test", most=3), []
    missed = counters.sign_outs_untold
    with no_more_threads():
        assert works.run(lambda: done.append("first"))
        assert works.run(lambda: done.append("second"))
        assert done == []
        [record] = caplog.records  # once a minute
        assert "can't start new thread" in record.getMessage()
        assert record.levelno == logging.ERROR
    assert works.run(lambda: done.append("third"))
    wait_until(lambda: len(done) == 3)
    assert done == ["first", "second", "third"]
    assert counters.sign_outs_untold == missed


def test_line_is_bounded_without_a_thread() -> None:
    """Past the limit a work is refused and counted; dropping what waits needs no thread."""
    works, done = BackgroundErrands("errands of a test", most=1), []
    before = counters.sign_outs_untold
    with no_more_threads():
        assert works.run(lambda: done.append("first"))
        assert not works.run(lambda: done.append("second"))
        assert counters.sign_outs_untold == before + 1
        works.drop()
    assert works.run(lambda: done.append("third"))
    wait_until(lambda: bool(done))
    assert done == ["third"]


def test_a_full_line_is_worked_off_once_a_thread_can_be_started() -> None:
    """Else it would stay full: the one that comes then is refused, and those that wait are done."""
    works, done = BackgroundErrands("errands of a test", most=1), []
    with no_more_threads():
        assert works.run(lambda: done.append("first"))
    assert not works.run(lambda: done.append("second"))
    wait_until(lambda: bool(done))
    assert done == ["first"]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_what_would_end_the_thread_is_left_out(error: type[BaseException]) -> None:
    """A receiver of a signal may raise anything; the next work is done all the same."""
    works, done = BackgroundErrands("errands of a test", most=9), []
    before = counters.sign_outs_untold

    def fail() -> None:
        raise error

    works.run(fail)
    works.run(lambda: done.append("next"))
    wait_until(lambda: bool(done))
    assert counters.sign_outs_untold == before + 1


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={"DJANGO_SETTINGS_MODULE": "config.settings"},
    )


@pytest.mark.parametrize("away", [False, True])
def test_end_of_the_program_waits_for_it(away: bool) -> None:
    """What a management command has done is told before it ends; once, if Redis is away."""
    program = f"""
import threading
import time
from realtime.access.errands import BackgroundErrands
from shardlayer import ShardUnavailable
said = threading.Event()
def work():
    said.wait({PATIENCE})
    time.sleep(0.3)
    print("told", flush=True)
    if {away}:
        raise ShardUnavailable(shard=0, server="x", reason="away")
BackgroundErrands("test", most=1).run(work)
print("end", flush=True)
said.set()
"""
    ran = run(program)
    assert ran.stdout.split() == ["end", "told"], ran.stderr


@pytest.mark.parametrize("away", [False, True])
def test_end_of_the_program_does_what_no_thread_could(away: bool) -> None:
    """Once, in order; what an earlier part of the program does at its end comes after it."""
    program = f"""
import atexit
import threading
from realtime.access.errands import BackgroundErrands
from shardlayer import ShardUnavailable
def work(number):
    print("told", number, flush=True)
    if {away}:
        raise ShardUnavailable(shard=0, server="x", reason="away")
errands = BackgroundErrands("test", most=2)
atexit.register(lambda: print("layer ends", flush=True))
threading.stack_size({TOO_LARGE})
for number in range(2):
    assert errands.run(lambda number=number: work(number))
print("end", flush=True)
"""
    ran = run(program)
    assert ran.stdout.splitlines() == ["end", "told 0", "told 1", "layer ends"], ran.stderr
    assert ran.returncode == 0


def test_end_of_the_program_can_be_interrupted() -> None:
    """Control-C leaves out what still waits for a thread."""
    program = f"""
import signal
import threading
from realtime.access.errands import BackgroundErrands
def work(number):
    print("told", number, flush=True)
    signal.raise_signal(signal.SIGINT)
errands = BackgroundErrands("test", most=2)
threading.stack_size({TOO_LARGE})
for number in range(2):
    errands.run(lambda number=number: work(number))
"""
    ran = run(program)
    assert ran.stdout.splitlines() == ["told 0"], ran.stderr
