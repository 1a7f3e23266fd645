"""One client of `rolling`: as those of `faults`, and it notes when it was away."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.faults.clients.recorder import Recorder


class Visitor(Recorder):
    """Comes back after each end of its connection.

    Attributes:
        returns: When it went away and when it was subscribed again, in seconds.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.returns: list[tuple[float, float]] = []
        self._left: float | None = None  # when, while it is away
        self._was_here = False

    async def _stay(self) -> None:
        await super()._stay()
        if self._was_here:
            self._was_here = False
            self._left = time.monotonic()

    def _accept(self, reply: dict[str, Any]) -> None:
        super()._accept(reply)
        if all(room.joined for room in self.rooms.values()):
            self._was_here = True
            if self._left is not None:
                self.returns.append((self._left, time.monotonic()))
                self._left = None
