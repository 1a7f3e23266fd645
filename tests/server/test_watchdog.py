"""An event loop that stands still is noticed, on real processes."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shardlayer.server.server_counters import counters
from shardlayer.server.watchdog import BEAT, Watchdog
from tests.server.conftest import LOOPBACK
from tests.server.process import ServerProcess
from tests.waiting import PATIENCE, wait_until

APPLICATION = "tests.server.drain_application:application"

Start = Callable[..., ServerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Return what makes a server with options."""

    def make(*options: str) -> ServerProcess:
        environ = {"DIARY": str(tmp_path / "diary")}
        return ServerProcess(
            tmp_path, *LOOPBACK, *options, environ=environ, application=APPLICATION
        )

    return make


@pytest.mark.parametrize(
    ("seconds", "path", "says"),
    [
        ("6", "/hang", ["The event loop has stood still for 6 s.", "time.sleep(60)"]),
        ("3", "/regex", ["Timeout (0:00:06)!", "in answer"]),  # which holds Python's lock
    ],
)
def test_worker_that_hangs_ends(start: Start, seconds: str, path: str, says: list[str]) -> None:
    """It says where it hangs, and ends with 1, so that its supervisor starts it again."""
    with start("--hang-timeout", seconds) as server, server.connect() as client:
        client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        assert server.process.wait(PATIENCE) == 1
        for words in says:
            assert words in server.log


def test_suspended_worker_goes_on(start: Start) -> None:
    """A process that stood still as a whole did not hang."""
    with start("--hang-timeout", "10") as server:
        assert server.get("/") == b"serving"
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(11)  # it is the time that is tested
        server.process.send_signal(signal.SIGCONT)
        for _ in range(3):
            assert server.get("/") == b"serving"
            time.sleep(0.5)
        assert server.errors() == []


def test_watchdog_may_be_off(start: Start) -> None:
    """With 0 nothing is watched."""
    with start("--hang-timeout", "0", "--blocking-threshold", "0") as server:
        assert server.get("/warn") == b"serving"
        assert server.get("/block") == b"serving"
        assert server.get("/blocked") == b"0"
        assert server.errors() == []


def test_blocking_is_counted_and_shown_in_development(start: Start) -> None:
    """What blocks the loop for 0.2 s is counted; where it stands is logged if somebody asked."""
    with start() as server:
        assert server.get("/block") == b"serving"
        wait_until(lambda: int(server.get("/blocked")) >= 1)
        assert server.errors() == []
        before = int(server.get("/blocked"))
        assert server.get("/warn") == b"serving"
        wait_until(lambda: _was_shown(server))
        assert int(server.get("/blocked")) > before


def _was_shown(server: ServerProcess) -> bool:
    """Block again, and tell whether it was logged: the thread notices late that it is to look."""
    server.get("/block")
    return "The event loop has been blocked" in server.log and "time.sleep(0.5)" in server.log


async def test_short_blocking_is_nothing() -> None:
    """What takes less than the threshold is not counted."""
    before = counters.loop_blocked
    watchdog = Watchdog(asyncio.get_running_loop(), hang_timeout=0, blocking=5)
    watchdog.start()
    for _ in range(3):
        time.sleep(2 * BEAT)  # noqa: ASYNC251
        await asyncio.sleep(0.01)
    watchdog.stop()
    assert counters.loop_blocked == before
