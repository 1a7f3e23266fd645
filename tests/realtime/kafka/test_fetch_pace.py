"""How soon a broker is asked again."""

from __future__ import annotations

import pytest

from realtime.kafka.reading.fetch_pace import BACKLOG, FetchPace, count_records
from tests.realtime.kafka.raw import Raw, batch_of

ONE, OTHER = 1, 2  # brokers


@pytest.mark.parametrize(
    ("records", "wait"), [(0, 0.0), (1, 0.0), (3, 0.002), (6, 0.005), (99, 0.005), (BACKLOG, 0.0)]
)
def test_more_records_are_waited_for_longer(records: int, wait: float) -> None:
    """Up to the limit; a fetch that brought nothing, or a backlog, is followed at once."""
    pace = FetchPace(0.005)
    pace.fetched(ONE, records, 10.0)
    assert pace.wait(OTHER, 10.0) == 0
    assert pace.wait(ONE, 10.0) == pytest.approx(wait)
    assert pace.wait(ONE, 10.0) == 0  # the next is a fetch of its own


def test_time_that_went_by_counts() -> None:
    """Who took long to publish has let them gather."""
    pace = FetchPace(0.005)
    pace.fetched(ONE, 6, 10.0)
    assert pace.wait(ONE, 10.002) == pytest.approx(0.003)
    pace.fetched(ONE, 6, 10.0)
    assert pace.wait(ONE, 11.0) == 0


def test_none() -> None:
    """0 has nobody wait."""
    pace = FetchPace(0.0)
    pace.fetched(ONE, 5, 10.0)
    assert pace.wait(ONE, 10.0) == 0


def test_records_are_counted_by_their_batches() -> None:
    """No more batches are looked at than it takes to know that there are enough."""
    data = batch_of([Raw()] * 3) + batch_of([Raw()] * 4, begin=3)
    assert count_records(b"", 10) == 0
    assert count_records(data, 10) == 7
    assert count_records(data, 3) == 3
