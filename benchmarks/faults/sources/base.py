"""What the two sources have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

LAYER = "layer"
KAFKA = "kafka"


class Message(NamedTuple):
    """One message; `number` counts those of its room."""

    room: str
    number: int
    data: bytes


class Source(Protocol):
    """A way into rooms. Made in a running event loop."""

    async def open(self) -> None:
        """Connect."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Send one message each to some rooms; return when all are acknowledged, however often
        that takes."""

    async def close(self) -> None:
        """Disconnect."""
