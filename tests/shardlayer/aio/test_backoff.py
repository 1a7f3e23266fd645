"""Waits between tries."""

from __future__ import annotations

from shardlayer.aio.backoff import FIRST, LONGEST, Backoff


def test_waits_double_to_a_limit() -> None:
    """At their longest they are 0.2, 0.4, … 2 s; a success begins anew."""
    backoff = Backoff(chance=lambda: 1.0)
    waits = [backoff.failed() for _ in range(6)]
    assert waits == [FIRST, FIRST * 2, FIRST * 4, FIRST * 8, LONGEST, LONGEST]
    backoff.reset()
    assert backoff.failed() == FIRST


def test_limits_of_its_own() -> None:
    """Who tries more often, or waits longer, says so."""
    backoff = Backoff(0.1, 0.3, chance=lambda: 1.0)
    assert [backoff.failed() for _ in range(4)] == [0.1, 0.2, 0.3, 0.3]


def test_chance_shortens_a_wait_by_half_at_most() -> None:
    """Those who failed together try again at different times."""
    assert Backoff(chance=lambda: 0.0).failed() == FIRST / 2
    assert len({Backoff().failed() for _ in range(10)}) > 1
