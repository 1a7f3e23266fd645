"""Counters to figures."""

from __future__ import annotations

from dataclasses import replace

from demo.feed.figures import Reading, figures, rate
from demo.feed.machine import read_machine
from realtime.rooms.room_names import is_room_name

BEFORE = Reading(
    wall=1732147200.0,
    clock=50.0,
    percent=10.0,
    per_cpu=(5.0, 15.0),
    load=0.5,
    memory_percent=40.0,
    memory_used=400,
    memory_total=1000,
    received=1000,
    sent=2000,
    read=3000,
    written=4000,
)
AFTER = replace(
    BEFORE, wall=1732147200.1234, clock=50.1, received=1100, sent=2000, read=3050, written=100
)


def test_rate() -> None:
    """Growth by time; a counter that wrapped around, or no time, is no rate."""
    assert rate(100, 350, 0.5) == 500.0
    assert rate(100, 50, 0.5) == 0.0
    assert rate(100, 200, 0.0) == 0.0


def test_figures() -> None:
    """Each room's object is what the page draws."""
    found = figures(BEFORE, AFTER)
    assert found == {
        "machine.cpu": {
            "t": 1732147200.123,
            "percent": 10.0,
            "per_cpu": [5.0, 15.0],
            "load": 0.5,
        },
        "machine.memory": {"t": 1732147200.123, "percent": 40.0, "used": 400, "total": 1000},
        "machine.network": {"t": 1732147200.123, "received": 1000.0, "sent": 0.0},
        "machine.disk": {"t": 1732147200.123, "read": 500.0, "written": 0.0},
    }
    assert all(map(is_room_name, found))


def test_this_machine_can_be_read() -> None:
    """Two readings of this machine make sense."""
    before, after = read_machine(), read_machine()
    assert after.clock >= before.clock
    assert 0 < after.memory_used <= after.memory_total
    assert all(0 <= percent <= 100 for percent in after.per_cpu)
