"""Timers with pauses of which one is a multiple of the other wake a process together."""

from __future__ import annotations

import pytest

from shardlayer import next_tick


@pytest.mark.parametrize(
    ("now", "pause", "due"),
    [
        (0.0, 0.1, 0.1),
        (0.05, 0.1, 0.1),
        (0.2999999999, 0.1, 0.4),  # the loop called a little early: that was the tick at 0.3
        (0.3, 0.2, 0.4),
        (0.39, 0.2, 0.4),
        (1_000_000.05, 0.1, 1_000_000.1),
        (1_000_000.05, 0.2, 1_000_000.2),
    ],
)
def test_next_tick(now: float, pause: float, due: float) -> None:
    """It is the next multiple, behind that one which has just come."""
    assert next_tick(now, pause) == pytest.approx(due, abs=1e-9, rel=0)
    assert next_tick(now, pause) > now
