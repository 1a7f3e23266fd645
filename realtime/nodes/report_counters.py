"""What became of the reports that this process makes of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ReportCounters:
    """Counts of this process, since it started.

    Attributes:
        taken: Reports that every server took that keeps them.
        missed: Reports that one of these servers, or both, did not take: it did not answer in
            time, or keeps those of 1,000 other processes.
    """

    taken: int = 0
    missed: int = 0


counters = ReportCounters()
