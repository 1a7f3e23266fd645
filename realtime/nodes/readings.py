"""A process's figures at one moment, and what two moments tell: rates and percentiles.

Reading them costs the same with ten rooms or 100,000.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from realtime.metrics.metric_sources import Process, Sources

PER_SHARD_DIGITS = 2  # behind the point, of a rate


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReading:
    """Counts since the process began, at one moment.

    Attributes:
        at: The monotonic clock, in seconds.
        cpu: Seconds of CPU.
        delivered: Messages written to clients.
        published: Publications that were acknowledged.
        errors: Calls to the shards that failed.
        records: Of Kafka, that were published.
        published_to: Publications that each shard acknowledged, by shard; empty: none.
        delivered_of: Messages of its rooms, by shard; empty where the process has no node.
        loop_delays: How late the event loop was (see `Histogram.counts`).
        record_ages: From records' timestamps to Redis, likewise; empty without a pool.
        bundles: By the first shard of each bundle: publications in a call, and seconds that it
            took, likewise.
    """

    at: float
    cpu: float
    delivered: int
    published: int
    errors: int
    records: int
    published_to: Sequence[int]
    delivered_of: Sequence[int]
    loop_delays: Sequence[int]
    record_ages: Sequence[int]
    bundles: Mapping[int, tuple[Sequence[int], Sequence[int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, process: Process, sources: Sources) -> NodeReading:
        """Return what is known of a process now."""
        stats, layer = sources.stats, process.layer
        pool = process.pool
        return cls(
            at=time.monotonic(),
            cpu=sources.cpu_seconds(),
            delivered=stats.get("delivered", 0),
            published=stats.get("published", 0),
            errors=stats.get("errors", 0),
            records=pool.records if pool is not None else 0,
            published_to=layer.published_by_shard(),
            delivered_of=[counters.delivered for counters in sources.shards],
            loop_delays=list(sources.loop_delays.counts),
            record_ages=list(pool.ages.counts) if pool is not None else [],
            bundles={
                bundle: (list(measured.batch_items.counts), list(measured.call_seconds.counts))
                for bundle, measured in layer.bundle_histograms().items()
            },
        )


def rate(before: float, now: float, seconds: float) -> float:
    """Return how much a count rose a second; 0 where it fell, since it began anew."""
    return max(now - before, 0) / seconds if seconds > 0 else 0.0


def rates(before: Sequence[int], now: Sequence[int], seconds: float) -> list[float]:
    """Return how much each of some counts rose a second; empty where there was none before."""
    if len(before) != len(now):
        before = [0] * len(now)
    return [
        round(rate(first, last, seconds), PER_SHARD_DIGITS)
        for first, last in zip(before, now, strict=True)
    ]


def risen(before: Sequence[int], now: Sequence[int]) -> list[int]:
    """Return how much each of some counts rose, without zeros at the end."""
    if len(before) != len(now):
        before = [0] * len(now)
    counts = [max(last - first, 0) for first, last in zip(before, now, strict=True)]
    while counts and not counts[-1]:
        counts.pop()
    return counts


def percentile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """Return the value below which a share of the counted ones lies, about; None without any.

    Within a bucket the values count as evenly spread. What is beyond the last bound counts as
    that. The counts may be fewer than the buckets: the last ones are then empty.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, seen = share * total, 0
    for number, count in enumerate(counts):
        if count and seen + count >= wanted:
            if number >= len(bounds):
                return bounds[-1]
            lower = bounds[number - 1] if number else 0.0
            return lower + (bounds[number] - lower) * (wanted - seen) / count
        seen += count
    return bounds[-1]
