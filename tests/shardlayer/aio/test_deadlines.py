"""Times that many get, and few use up."""

from __future__ import annotations

from shardlayer.aio.deadlines import Deadlines


def test_overdue_once_and_in_order() -> None:
    """Who was started first is overdue first, when more than the time has passed, and once."""
    deadlines: Deadlines[str] = Deadlines(10)
    for now, item in enumerate("abc"):
        deadlines.start(item, now)
    assert deadlines.take_overdue(10) == []
    assert deadlines.take_overdue(11.5) == ["a", "b"]
    assert deadlines.take_overdue(11.5) == []
    assert deadlines.take_overdue(100) == ["c"]


def test_stopped() -> None:
    """Who is done in time is never overdue; being done twice does not matter."""
    deadlines: Deadlines[str] = Deadlines(10)
    deadlines.start("a", 0)
    deadlines.start("b", 0)
    deadlines.stop("a")
    deadlines.stop("a")
    assert deadlines.take_overdue(11) == ["b"]


def test_started_again() -> None:
    """Who is started again gets the whole time, and stands behind the others."""
    deadlines: Deadlines[str] = Deadlines(10)
    deadlines.start("a", 0)
    deadlines.start("b", 1)
    deadlines.start("a", 5)
    assert deadlines.take_overdue(12) == ["b"]
    assert deadlines.take_overdue(16) == ["a"]
