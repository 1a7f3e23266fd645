"""What a publisher measures has buckets as far as it goes."""

from __future__ import annotations

import pytest

from shardlayer.broker.publisher_histograms import PublisherHistograms
from shardlayer.core.options import MAX_BATCH_SIZE


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("call_seconds", (0.0001, 0.06, 0.6, 3.0)),  # as a disk that is slow makes them
        ("publish_seconds", (0.001, 0.06, 0.6, 4.0)),
        ("batch_items", (1, 600, 2_000, MAX_BATCH_SIZE)),
    ],
)
def test_large_values_are_told_apart(name: str, values: tuple[float, ...]) -> None:
    """None is in the last bucket, of which nobody can say how large its values are."""
    histogram = getattr(PublisherHistograms(), name)
    for value in values:
        histogram.observe(value)
    assert [count for count in histogram.counts if count] == [1] * len(values)
    assert histogram.counts[-1] == 0
