from __future__ import annotations

from benchmarks.swarm.tally import Tally


def test_messages_in_order_are_received() -> None:
    """Two clients that get all of three messages have lost nothing."""
    tally = Tally(first=5)
    for _ in range(2):
        expected = 5
        for number in (5, 6, 7):
            expected = tally.take(expected, number, 2_000_000)
    summary = tally.summary(published=3, members=2)
    assert summary["received"] == 6
    assert summary["lost"] == summary["misordered"] == 0
    assert summary["p50_ms"] == summary["max_ms"] == 2.0


def test_a_gap_is_lost() -> None:
    """What was passed over did not arrive."""
    tally = Tally(first=1)
    assert tally.take(1, 4, 0) == 5
    assert tally.summary(published=4, members=1)["lost"] == 3


def test_a_message_that_comes_again_is_misordered_and_not_received() -> None:
    """A duplicate can't make up for one that was lost."""
    tally = Tally(first=1)
    expected = tally.take(1, 1, 0)
    assert tally.take(expected, 1, 0) == expected
    summary = tally.summary(published=2, members=1)
    assert (summary["received"], summary["lost"], summary["misordered"]) == (1, 1, 1)


def test_a_message_of_an_earlier_slice_is_nothing() -> None:
    """It was counted there, as lost."""
    tally = Tally(first=10)
    assert tally.take(10, 9, 0) == 10
    assert tally.summary(published=0, members=1)["misordered"] == 0
