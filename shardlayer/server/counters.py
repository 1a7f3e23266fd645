"""What the server counts, for metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Figures of one process since its start.

    Attributes:
        accepted: WebSockets that the application accepted.
        rejected: Handshakes answered with anything but 101: bad ones and denied ones.
        slow_closed: Clients closed with 4008 because too many bytes waited for them.
        ping_timeouts: Clients closed because they did not answer a ping in time.
    """

    accepted: int = 0
    rejected: int = 0
    slow_closed: int = 0
    ping_timeouts: int = 0


counters = Counters()
"""The process's figures. One object, as the reactor and so the server are one per process."""
