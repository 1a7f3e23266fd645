"""Sessions of a project's own, which raise StopIteration where there is none."""

from __future__ import annotations

from typing import Any


class SessionStore:
    """One session: `stops` is looked for in vain, every other is empty."""

    def __init__(self, key: str) -> None:
        self._key = key

    def get(self, name: str, default: Any = None) -> Any:
        """Return the default."""
        return next(iter(())) if self._key == "stops" else default
