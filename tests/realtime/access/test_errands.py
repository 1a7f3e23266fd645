"""Works that nobody waits for: their order, their failures, and their limit."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from realtime.access import errands
from realtime.access.errands import BackgroundErrands, drop_errands
from realtime.clients.client_counters import counters
from shardlayer import ShardUnavailable
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
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={"DJANGO_SETTINGS_MODULE": "config.settings"},
    )
    assert ran.stdout.split() == ["end", "told"], ran.stderr
