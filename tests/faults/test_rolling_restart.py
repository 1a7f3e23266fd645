"""Workers restarted one after the other behind the balancer: nobody loses anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.machine import raise_descriptor_limit
from benchmarks.rolling.plans import PEAK, STORM, run_rolling

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("faults")]


def test_nobody_loses_anything(tmp_path: Path) -> None:
    """A hundred clients of two workers get every publication once, and come back spread."""
    raise_descriptor_limit(500)
    figures = list(run_rolling(["rolling", "storm"], tmp_path, rounds=1, quick=True))
    assert sum(figure.lost + figure.repeated for figure in figures) == 0
    values = {figure.measure: figure.value for figure in figures}
    peak, storm = values[PEAK], values[STORM]
    assert peak is not None
    assert storm is not None
    assert peak <= 2  # of the rate that the spread allows
    assert storm < 30  # seconds; it waits for a processor, too
