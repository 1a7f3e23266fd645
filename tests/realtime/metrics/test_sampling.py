"""Figures are written as soon as the system starts a thread for it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from realtime.metrics import sampling
from realtime.metrics.metric_sources import Measured
from realtime.metrics.sampling import Sampling
from realtime.metrics.snapshots import read_snapshots
from shardlayer.balancer.balancer_counters import BalancerCounters
from tests.no_threads import no_more_threads
from tests.waiting import until


@pytest.fixture
def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of figures that are written often."""
    monkeypatch.setattr(sampling, "INTERVAL", 0.02)
    return tmp_path / "figures"


async def test_no_thread_can_be_started(figures: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The process goes on, says so once, and writes once there is a thread."""
    process = Measured(role="balancer", balancer=BalancerCounters())
    begun = Sampling(process, asyncio.get_running_loop(), figures)
    tries = []
    start = begun._start_thread

    def counted() -> None:
        tries.append(True)
        start()

    begun._start_thread = counted  # type: ignore[method-assign]
    with no_more_threads():
        begun.start()
        await until(lambda: len(tries) > 2)
        [record] = caplog.records  # once a minute
        assert record.levelno == logging.ERROR
        assert "can't start new thread" in record.getMessage()
        assert not list(read_snapshots(figures))
    await until(lambda: list(read_snapshots(figures)))
    begun.stop()
    thread = begun._thread
    assert thread is not None
    await until(lambda: not thread.is_alive())


async def test_stopped_before_a_thread_could_be_started(figures: Path) -> None:
    """It does not begin afterwards."""
    process = Measured(role="balancer", balancer=BalancerCounters())
    begun = Sampling(process, asyncio.get_running_loop(), figures)
    with no_more_threads():
        begun.start()
        begun.stop()
    assert begun._next_try is not None
    assert begun._next_try.cancelled()
    assert begun._thread is None
