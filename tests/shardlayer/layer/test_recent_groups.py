"""Groups that were sent to of late."""

from __future__ import annotations

from shardlayer.layer import recent_groups
from shardlayer.layer.recent_groups import PERIOD, RecentGroups
from tests.shardlayer.fakes import FakeClock


def test_forgotten_after_a_while() -> None:
    """A group counts for one to two periods after it was noted."""
    clock = FakeClock()
    groups = RecentGroups(clock=clock)
    groups.note("a")
    clock.now += 0.9 * PERIOD
    groups.note("b")
    assert ("a" in groups, "b" in groups, "c" in groups) == (True, True, False)
    clock.now += PERIOD
    assert "b" in groups
    clock.now += PERIOD
    assert ("a" in groups, "b" in groups, len(groups)) == (False, False, 0)


def test_many_groups() -> None:
    """However many there are, so many are held and the newest are among them."""
    groups = RecentGroups(clock=FakeClock())
    for number in range(5 * recent_groups.MOST):
        groups.note(f"g{number}")
        assert f"g{number}" in groups
    assert len(groups) <= 2 * recent_groups.MOST
