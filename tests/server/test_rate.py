"""How many frames a client may send."""

from __future__ import annotations

from shardlayer.server.rate import FRAME_RATE_WINDOW, is_too_fast, paid_until

RATE = 10


def test_a_window_at_once() -> None:
    """A client that was quiet may send what the rate allows for the window, and not one more."""
    burst = int(RATE * FRAME_RATE_WINDOW)
    until = paid_until(0.0, burst, 1000.0, RATE)
    assert not is_too_fast(until, 1000.0)
    assert is_too_fast(paid_until(until, 1, 1000.0, RATE), 1000.0)


def test_the_rate_for_ever() -> None:
    """A client that sends at the rate never is too fast, and one that sends twice as much is."""
    steady = double = 0.0
    for second in range(1000, 1100):
        steady = paid_until(steady, RATE, second, RATE)
        double = paid_until(double, 2 * RATE, second, RATE)
    assert not is_too_fast(steady, 1099)
    assert is_too_fast(double, 1099)


def test_quiet_time_is_not_saved_up() -> None:
    """A client that was quiet for an hour has no more than the window."""
    until = paid_until(0.0, 1, 1000.0, RATE)
    until = paid_until(until, int(RATE * FRAME_RATE_WINDOW) + 1, 4600.0, RATE)
    assert is_too_fast(until, 4600.0)
