"""What a balancer counts since its start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class BalancerCounters:
    """Figures of one balancer.

    Attributes:
        accepted: Connections that came.
        handed_over: Connections that a worker acknowledged.
        taken_back: Connections that a worker was handed and did not take: it left, died, stood
            still or had too many open files. Each went to another worker or was refused.
        refused: Connections answered with 503.
        dropped: Connections closed without an answer: TLS with no worker to answer, and what a
            client left itself before it was served.
        joined: Workers that joined; one that comes back counts again.
        accept_errors: Times when no connection could be accepted, for want of descriptors mostly.
    """

    accepted: int = 0
    handed_over: int = 0
    taken_back: int = 0
    refused: int = 0
    dropped: int = 0
    joined: int = 0
    accept_errors: int = 0
