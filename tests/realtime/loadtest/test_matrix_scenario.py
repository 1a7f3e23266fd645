"""What `matrix` makes of its measurements."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from demo.embedded.valkey import valkey_binary
from realtime.loadtest.load_session import SessionOptions
from realtime.loadtest.reporting.live_view import QuietView
from realtime.loadtest.reporting.load_report import LoadReport
from realtime.loadtest.scenarios.delivery_counts import DeliveryCounts
from realtime.loadtest.scenarios.matrix_scenario import MatrixCell, MatrixSample, MatrixScenario

GOOD = MatrixSample(
    worker=10.0,
    redis=20.0,
    whole=30.0,
    p95=0.004,
    counts=DeliveryCounts(judged=100, lost=0, wrong=0, failed=0),
)


class MeasuredMatrix(MatrixScenario):
    """Has these samples, one after the other, in place of deployments.

    Args:
        samples: They.
    """

    def __init__(self, *samples: MatrixSample) -> None:
        options = {"workers": [2], "shards": [32], "redis": [1], "rounds": len(samples)}
        server = {"redis_server": str(valkey_binary()), "max_default_cost": None}
        super().__init__({**options, **server})
        self._samples = list(samples)

    async def _measure(
        self, cell: MatrixCell, program: str, options: SessionOptions
    ) -> MatrixSample:
        return self._samples.pop(0)


def report_of(*samples: MatrixSample) -> LoadReport:
    """Return what the scenario reports."""
    report = LoadReport(scenario="matrix", target="deployments of its own", began="now")
    nobody = cast("SessionOptions", SimpleNamespace())
    asyncio.run(MeasuredMatrix(*samples).run(nobody, QuietView(), report))
    return report


@pytest.mark.parametrize("name", ["lost", "wrong", "failed"])
def test_each_measurement_is_judged(name: str) -> None:
    """One delivery that is not as promised is enough, in whichever round."""
    bad = replace(GOOD, counts=replace(GOOD.counts, **{name: 1}))
    assert report_of(GOOD, GOOD).is_kept
    missed = [check.name for check in report_of(GOOD, bad, GOOD).checks if not check.is_kept]
    assert missed == [name]


def test_measurement_without_a_delivery_says_nothing() -> None:
    """Nothing is lost or wrong then, and deliveries were as late as can be."""
    empty = replace(GOOD, p95=math.inf, counts=replace(GOOD.counts, judged=0))
    report = report_of(GOOD, empty, GOOD)
    missed = {check.name: check.found for check in report.checks if not check.is_kept}
    assert missed == {"lost": None, "wrong": None}
