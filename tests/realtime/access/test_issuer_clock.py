"""The clock of an issuer that differs from ours."""

from __future__ import annotations

from realtime.access.issuer_clock import PERIOD, IssuerClock

NOW = 1_800_000_000.0


def test_clock_that_is_right_or_behind() -> None:
    """What a token says stands."""
    clock = IssuerClock()
    for age in (0.0, 5.0, 5_000.0):
        assert clock.dated(NOW - age, NOW) == NOW - age


def test_clock_that_is_ahead() -> None:
    """A token that is fresh shows by how much, and all are dated by that, those before it too."""
    clock = IssuerClock()
    assert clock.dated(NOW - 100.0, NOW) == NOW - 100.0  # as far as is known yet
    assert clock.dated(NOW + 20.0, NOW) == NOW
    assert clock.dated(NOW + 12.0, NOW) == NOW - 8.0
    assert clock.dated(NOW + 20.0, NOW + 50.0) == NOW


def test_clock_that_was_set_right() -> None:
    """What was seen long ago counts no more."""
    clock = IssuerClock()
    clock.dated(NOW + 20.0, NOW)
    later = NOW + 1.5 * PERIOD
    assert clock.dated(later, later) == later - 20.0
    later = NOW + 3.5 * PERIOD
    assert clock.dated(later, later) == later
    assert clock.dated(NOW, NOW) == NOW  # ours was set back
