"""What `/metrics` says."""

from __future__ import annotations

import pytest

from realtime.loadtest.load_failed import LoadFailed
from realtime.loadtest.metrics_reading import MetricsReader, MetricsReading

TEXT = """# HELP shardlayer_deliveries_total Messages
# TYPE shardlayer_deliveries_total counter
shardlayer_deliveries_total{role="worker",worker="0"} 10.0
shardlayer_deliveries_total{role="worker",worker="1"} 5.0
shardlayer_dispatch_total{role="worker",type="targeted",worker="0"} 7.0
shardlayer_call_seconds_bucket{le="0.001",role="worker",worker="0"} 90.0
shardlayer_call_seconds_bucket{le="0.002",role="worker",worker="0"} 99.0
shardlayer_call_seconds_bucket{le="+Inf",role="worker",worker="0"} 100.0
python_info{version="3"} 1.0
"""


def test_figures_are_added_up_by_label() -> None:
    """Over all workers, or of one."""
    reading = MetricsReading.of(TEXT)
    assert reading.sum("deliveries_total") == 15
    assert reading.sum("deliveries_total", worker="1") == 5
    assert reading.sum("unknown") == 0
    assert reading.by("dispatch_total", "type") == {("targeted",): 7}


def test_growth_is_since_before() -> None:
    """A worker that is new begins at 0."""
    now = MetricsReading.of(TEXT + 'shardlayer_deliveries_total{role="worker",worker="2"} 3.0\n')
    assert now.since(MetricsReading.of(TEXT)).by("deliveries_total", "worker") == {
        ("0",): 0,
        ("1",): 0,
        ("2",): 3,
    }


def test_quantile_is_the_end_of_its_bucket() -> None:
    """Of what is added up; an empty histogram has none."""
    reading = MetricsReading.of(TEXT)
    assert reading.quantile("call_seconds", 0.9) == 0.001
    assert (reading + reading).quantile("call_seconds", 0.99) == 0.002
    assert reading.quantile("call_seconds", 1) == float("inf")
    assert reading.since(reading).quantile("call_seconds", 0.5) is None


async def test_silent_metrics_are_a_line() -> None:
    """The load test can't go on."""
    with pytest.raises(LoadFailed, match=r"http://127\.0\.0\.1:9/metrics does not answer"):
        await MetricsReader(["http://127.0.0.1:9/metrics"], "").read()
