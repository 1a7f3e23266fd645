"""What a peer's publisher must be able to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Emitter(Protocol):
    """Publishes to all clients of a peer, from a process that is neither server nor client.

    Made with no argument; where to publish stands in the environment (see benchmarks.peers.base).
    """

    async def open(self) -> None:
        """Connect; called once, before the first message."""

    async def publish(self, messages: Sequence[bytes]) -> None:
        """Publish JSON texts in order, all at once if the peer can; return when accepted."""

    async def close(self) -> None:
        """Disconnect."""
