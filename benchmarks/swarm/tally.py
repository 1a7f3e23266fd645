"""What arrived, checked against what was sent."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from benchmarks.statistics import percentile


@dataclass(slots=True)
class Tally:
    """The deliveries of one slice, on all connections.

    Attributes:
        first: The number of the slice's first message; each client must get that one first, then
            the next and so on.
        received: Messages that came as expected, or after a gap.
        skipped: Messages that were not there when a later one came: lost, or out of order.
        misordered: Messages that came again or too late.
        latencies: Nanoseconds from the call that published to the client's read, one for each
            received.
    """

    first: int
    received: int = 0
    skipped: int = 0
    misordered: int = 0
    latencies: array[int] = field(default_factory=lambda: array("q"))

    def take(self, expected: int, number: int, latency: int) -> int:
        """Count one message and return the number that its connection must get next."""
        if number < expected:
            if number >= self.first:
                self.misordered += 1
            return expected
        self.skipped += number - expected
        self.received += 1
        self.latencies.append(latency)
        return number + 1

    def summary(self, published: int, members: int) -> dict[str, float]:
        """Return the figures of the slice: counts, and milliseconds of latency."""
        ordered = sorted(self.latencies) or [0]
        return {
            "received": self.received,
            "lost": published * members - self.received,
            "misordered": self.misordered,
            "p50_ms": percentile(ordered, 50) / 1e6,
            "p95_ms": percentile(ordered, 95) / 1e6,
            "p99_ms": percentile(ordered, 99) / 1e6,
            "max_ms": ordered[-1] / 1e6,
        }
