"""What `calm` makes of a room of which not every message arrives."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.calm.plans import CONFLATED, JOINED, PEERS, RATES, figure_of
from benchmarks.calm.targets import calm_targets
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.rig import Rig
from tests.waiting import wait_until


def figure(name: str, received: int) -> Figure:
    """Return that of a slice of ten messages."""
    found = {"published": 10, "received": received, "lost": 10 - received}
    return figure_of(name, max(RATES), 1, found, 5_000.0)


def test_room_in_which_nothing_came_costs_nothing_known() -> None:
    """Conflated, it may lack some messages, but not all: that would be the cheapest."""
    assert figure(CONFLATED, 1).value == 5.0
    assert (figure(CONFLATED, 1).lost, figure(JOINED, 1).lost) == (0, 9)
    assert figure(CONFLATED, 0).value is None
    for name, received, kept in ((CONFLATED, 1, True), (CONFLATED, 0, False), (JOINED, 0, False)):
        *_, mishaps = calm_targets([figure(name, received)])
        assert mishaps.reached is kept


@pytest.mark.slow
def test_what_came_of_a_conflated_room_is_counted(tmp_path: Path) -> None:
    """Though nobody waits for all of it."""
    with Rig(PEERS[CONFLATED], Placement.of_machine(), tmp_path) as rig:
        rig.connect(2)

        def comes() -> bool:
            found = rig.steadily(size=100, rate=20, seconds=0.5, all_arrive=False)
            assert found["published"] == 10
            return bool(found["received"])

        wait_until(comes)
