"""The lines that `bin/dev` prints: one a step, with how long it took."""

from __future__ import annotations

import time

NAME_WIDTH = 12
SECONDS_WIDTH = 6


class Steps:
    """Steps that may run side by side; each has its own clock."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}

    def begin(self, name: str) -> None:
        """Start the clock of a step."""
        self._began[name] = time.monotonic()

    def done(self, name: str, note: str = "") -> None:
        """Print the line of a step that was begun."""
        seconds = time.monotonic() - self._began[name]
        say(f"  {name:<{NAME_WIDTH}}{seconds:{SECONDS_WIDTH}.1f} s  {note}".rstrip())


def say(text: str) -> None:
    """Print a line now, also into a pipe."""
    print(text, flush=True)
