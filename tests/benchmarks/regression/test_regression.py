"""A regression is caught: `regression` fails when we cost more than is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks.layer.figures import Figure
from benchmarks.regression.plans import DELIVERY, RECORD
from benchmarks.regression.targets import (
    TOLERANCE,
    recorded,
    regression_table,
    regression_targets,
)

ROOT = Path(__file__).parents[3]
LOST = "ours: messages lost or repeated"


def figures(ratios: list[float], measure: str) -> list[Figure]:
    """Return a figure for each pair of turns."""
    return [
        Figure(measure=measure, layer="ours", round=pair, value=ratio, unit="x", calls=1)
        for pair, ratio in enumerate(ratios, 1)
    ]


@pytest.mark.parametrize("measure", [DELIVERY, RECORD])
@pytest.mark.parametrize(
    ("factors", "is_reached"),
    [
        ([1.0] * 9, True),
        ([1.2] * 9, True),
        ([1.3] * 9, False),
        ([1.0] * 5 + [9.0] * 4, True),  # noise in less than half of the pairs
        ([1.3] * 5 + [1.0] * 4, False),
    ],
)
def test_the_median_is_judged(factors: list[float], is_reached: bool, measure: str) -> None:
    """Past the tolerance it fails; single pairs do not matter."""
    assert TOLERANCE == 1.25
    usual = recorded()[measure]
    targets = regression_targets(figures([usual * factor for factor in factors], measure))
    found = {target.measure.partition(",")[0]: target.reached for target in targets}
    assert found.pop(measure) is is_reached
    assert found.pop(LOST) is True
    assert set(found.values()) == {None}


@pytest.mark.parametrize("measure", [DELIVERY, RECORD])
@pytest.mark.parametrize("mishap", [{"lost": 1}, {"repeated": 1}, {"value": None}])
def test_what_does_not_arrive_is_not_cheap(mishap: dict[str, Any], measure: str) -> None:
    """Whoever loses a message has less to do, and the median of the others would hide it."""
    first, *others = figures([recorded()[measure]] * 5, measure)
    targets = regression_targets([replace(first, **mishap), *others])
    assert LOST in {target.measure for target in targets if target.reached is False}


def test_nothing_measured_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was to run did not: no target is missed then, and none reached."""
    nothing = command._of_plans(lambda *_, **__: iter(()), regression_targets, regression_table)
    monkeypatch.setitem(command._MEASURE, "regression", nothing)
    assert command.main(["regression", "--json", str(tmp_path / "found.json")]) == 1


def test_every_measure_is_recorded() -> None:
    """What is not is judged by nobody."""
    assert set(recorded()) == {DELIVERY, RECORD}


@pytest.mark.parametrize(
    ("worse", "factor", "code"),
    [(DELIVERY, 1.0, 0), (DELIVERY, 1.3, 1), (RECORD, 1.3, 1)],
)
def test_the_command_fails(
    worse: str, factor: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its exit code is what continuous integration looks at, whichever measure is worse."""

    def measured(*_: Any, **__: Any) -> Iterator[Figure]:
        for measure, usual in recorded().items():
            yield from figures([usual * (factor if measure == worse else 1.0)] * 3, measure)

    monkeypatch.setitem(
        command._MEASURE,
        "regression",
        command._of_plans(measured, regression_targets, regression_table),
    )
    assert command.main(["regression", "--json", str(tmp_path / "found.json")]) == code


def test_continuous_integration_runs_it() -> None:
    """With what bin/test has set up."""
    assert "-m benchmarks regression" in (ROOT / ".ci" / "run").read_text()
