"""What grows in a soak, and when that is judged."""

from __future__ import annotations

import pytest

from benchmarks.layer.figures import Figure
from benchmarks.soak.run import DESCRIPTORS, MEMORY, STORE, WORKER
from benchmarks.soak.slopes import Reading, settled, slope
from benchmarks.soak.targets import soak_targets


def readings(minutes: int, growth: float, warm_up: float = 0.0) -> list[Reading]:
    """Return one for each minute; bytes grow by so many an hour, and at first by some more."""
    return [
        Reading(
            at=minute * 60.0,
            worker_bytes=1e8 + growth * minute / 60 + warm_up * min(minute, 10),
            descriptors=100,
            threads=3,
            redis_bytes=1e6,
            redis_keys=10,
        )
        for minute in range(minutes + 1)
    ]


def test_slopes() -> None:
    """By hour, and without what the first ten minutes bring."""
    calm = settled(readings(60, growth=2e6, warm_up=1e7))
    assert calm[0].at == 600
    assert slope(calm, "worker_bytes") == pytest.approx(2e6)
    assert slope(calm, "descriptors") == 0
    assert settled(readings(6, 0.0))[0].at == 120
    assert settled([]) == []
    with pytest.raises(ValueError, match="too few"):
        slope(readings(0, 0.0), "threads")


@pytest.mark.parametrize(
    ("growth", "lost", "minutes", "reached"),
    [
        (0.5, 0, 60, [True, True, True, True]),
        (1.5, 0, 60, [False, True, False, True]),
        (0.5, 1, 60, [True, True, True, False]),
        (1.5, 0, 5, [None, None, None, True]),
    ],
)
def test_targets(growth: float, lost: int, minutes: float, reached: list[bool | None]) -> None:
    """A short run judges what was lost alone."""
    figures = [
        Figure(measure=measure, layer=what, round=1, value=growth, unit="", calls=1, lost=lost)
        for measure, what in ((MEMORY, WORKER), (DESCRIPTORS, WORKER), (MEMORY, STORE))
    ]
    assert [target.reached for target in soak_targets(figures, minutes)] == reached


@pytest.mark.parametrize("minutes", [60.0, 5.0])
def test_worker_that_delivered_nothing_was_not_soaked(minutes: float) -> None:
    """Nothing is lost then, and an idle worker does not grow."""
    figures = [
        Figure(measure=measure, layer=what, round=1, value=None, unit="", calls=1)
        for measure, what in ((MEMORY, WORKER), (DESCRIPTORS, WORKER), (MEMORY, STORE))
    ]
    *grown, lost = [target.reached for target in soak_targets(figures, minutes)]
    assert lost is False
    assert grown == [False if minutes == 60 else None] * 3
