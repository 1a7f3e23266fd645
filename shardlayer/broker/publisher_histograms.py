"""What a publisher measures, for metrics."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from shardlayer.core.histogram import Histogram, doubling

CALL_SECONDS = doubling(0.0001, 16)  # 0.1 ms to 3.3 s
PUBLISH_SECONDS = doubling(0.0005, 14)  # 0.5 ms to 4.1 s
BATCH_ITEMS = doubling(1, 14)  # 1 to 8,192
FANOUT = (*range(11),)  # 0 to 10


@dataclass(slots=True, kw_only=True)
class PublisherHistograms:
    """One value for each call that was acknowledged.

    Attributes:
        batch_items: Publications in the call.
        call_seconds: What the call took: the one script that looks the nodes up, writes and tells.
        publish_seconds: What the oldest publication in it took, from `publish()` to its
            acknowledgement: it may have waited for calls before, and was sent again where needed.
        fanout: Messages to nodes that the call sent.
    """

    batch_items: Histogram = field(default_factory=lambda: Histogram(BATCH_ITEMS))
    call_seconds: Histogram = field(default_factory=lambda: Histogram(CALL_SECONDS))
    publish_seconds: Histogram = field(default_factory=lambda: Histogram(PUBLISH_SECONDS))
    fanout: Histogram = field(default_factory=lambda: Histogram(FANOUT))

    def add(self, others: PublisherHistograms) -> None:
        """Count what others have counted; of what they have."""
        for item in fields(others):
            getattr(self, item.name).add(getattr(others, item.name))
