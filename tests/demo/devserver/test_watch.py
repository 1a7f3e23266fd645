"""What bin/dev tells of parts while it watches them."""

from __future__ import annotations

import pytest

from demo.devserver.supervisor import PartState
from demo.devserver.watch import describe_change


def part(state: str = "RUNNING", *, pid: int = 7) -> PartState:
    """Return the state of the pool."""
    return PartState(name="pool", state=state, pid=pid)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (part(), part(), ""),
        (part("STARTING"), part("RUNNING"), ""),
        (part(), part("BACKOFF", pid=0), "pool ended by itself and is being started again"),
        (part("BACKOFF", pid=0), part("EXITED", pid=0), ""),
        (part("BACKOFF", pid=0), part("RUNNING", pid=8), "pool was started again (pid 8)"),
        (part(), part(pid=8), "pool was started again (pid 8)"),
        (part(), part("STOPPED", pid=0), ""),
    ],
)
def test_only_news_is_told(before: PartState, now: PartState, told: str) -> None:
    """An end is told once and a new process is told; a stop that somebody asked for is not."""
    text = describe_change(before, now)
    assert text.startswith(told)
    assert bool(text) == bool(told)
