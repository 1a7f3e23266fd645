"""What `observing` has to reach, from figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.layer.figures import Figure
from benchmarks.observing.plans import ANSWER, OFF, ON, SECOND, there_and_back
from benchmarks.observing.targets import LIMITS, observing_targets


def figures(on: float) -> list[Figure]:
    """Return one pair of turns of everything."""
    return [
        Figure(measure=measure, layer=layer, round=1, value=value, unit="µs", calls=1)
        for measure in (*LIMITS, SECOND)
        for layer, value in ((OFF, 100.0), (ON, on))
    ] + [Figure(measure=ANSWER, layer=ON, round=1, value=on - 55, unit="ms", calls=1)]


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (102, [True] * 6),
        (103, [False, False, True, True, True, True]),
        (104, [False, False, False, True, True, True]),
        (106, [False] * 5 + [True]),
    ],
)
def test_what_is_reached(on: float, expected: list[bool]) -> None:
    """Each limit counts by itself."""
    assert [each.reached for each in observing_targets(figures(on))] == expected


def test_who_delivers_less_is_not_cheaper() -> None:
    """A side that loses something has less to do; an answer without a worker comes sooner."""
    for number, figure in enumerate(found := figures(102)):
        short = [*found[:number], replace(figure, lost=1), *found[number + 1 :]]
        assert [each.reached for each in observing_targets(short)] == [True] * 5 + [False]


def test_turns_are_compared_in_pairs() -> None:
    """Each side once in each pair, and the pairs of all rounds have numbers of their own."""
    turns = [*there_and_back(2), *there_and_back(2, 3)]
    assert sorted(turns) == [(pair, side) for pair in (1, 2, 3, 4) for side in (OFF, ON)]
    assert [side for _, side in turns[:4]] == [OFF, ON, ON, OFF]
