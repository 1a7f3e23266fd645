"""What the two sources have in common."""

from __future__ import annotations

from typing import Protocol

LAYER = "layer"
KAFKA = "kafka"


class Source(Protocol):
    """A way into rooms. Made in a running event loop."""

    async def open(self) -> None:
        """Connect."""

    async def send(self, room: str, number: int, data: bytes) -> None:
        """Send a message and return when it is acknowledged, however often that takes."""

    async def close(self) -> None:
        """Disconnect."""
