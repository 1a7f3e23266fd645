"""Time that a test sets."""

from __future__ import annotations


class FakeClock:
    """A monotonic clock; `now` is what it shows, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
