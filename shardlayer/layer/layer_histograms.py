"""What a layer measures, for metrics: how long, how large, how far."""

from __future__ import annotations

from dataclasses import dataclass, field

from shardlayer.broker.publisher_histograms import PublisherHistograms
from shardlayer.core.histogram import Histogram
from shardlayer.delivery.hub import DELIVERY_SECONDS, END_TO_END_SECONDS


@dataclass(slots=True, kw_only=True)
class LayerHistograms(PublisherHistograms):
    """Measured values of all event loops of a process, since they began.

    Attributes:
        delivery_seconds: From the moment at which a node heard of publications until all members
            here were written to; one value for each round of writing, of its oldest publication.
        end_to_end_seconds: The same from the moment at which the publication began its way: at
            Kafka, or with `publish()`. Clocks of two machines may differ.
    """

    delivery_seconds: Histogram = field(default_factory=lambda: Histogram(DELIVERY_SECONDS))
    end_to_end_seconds: Histogram = field(default_factory=lambda: Histogram(END_TO_END_SECONDS))
