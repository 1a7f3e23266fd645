from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.layer.figures import Figure
from benchmarks.layer.measures import CONCURRENT, CONNECTIONS, REDIS
from benchmarks.layer.targets import layer_targets, mishaps_target, value_target
from benchmarks.targets import Target

_FIGURE = Figure(
    measure=CONCURRENT, layer="ours", round=1, value=800.0, unit="calls/s", calls=1_600
)
_THEIRS = replace(_FIGURE, layer="pubsub", value=80.0)


def _by_measure(figures: list[Figure]) -> dict[str, Target]:
    return {target.measure: target for target in layer_targets(figures)}


def test_rate_must_be_at_least_its_limit() -> None:
    """Eight times is enough, seven is not: more is better, unlike with costs."""
    measure = f"{CONCURRENT} / pub/sub"
    assert _by_measure([_FIGURE, _THEIRS])[measure].reached is True
    assert _by_measure([replace(_FIGURE, value=560.0), _THEIRS])[measure].reached is False


def test_ratio_is_within_a_round() -> None:
    """A round at half the speed doesn't count against the one that was slow."""
    second = [replace(_THEIRS, round=2, value=40.0), replace(_FIGURE, round=2, value=400.0)]
    measured = _by_measure([_FIGURE, _THEIRS, *second])[f"{CONCURRENT} / pub/sub"].measured
    assert measured is not None
    assert (measured.low, measured.high, measured.count) == (10.0, 10.0, 2)


def test_layer_that_never_succeeded_has_no_ratio() -> None:
    """It isn't measured; the table says what it raised."""
    ours = replace(_FIGURE, measure=REDIS, value=10.0)
    core = replace(ours, layer="core", value=None, calls=0, failed={"MaxConnectionsError": 9})
    assert _by_measure([ours, core])[f"{REDIS} / core"].reached is None


def test_one_slice_with_a_mishap_misses_the_target() -> None:
    """Lost, repeated and failed count alike, in any measure, and only where they are ours."""
    measure = "ours: calls that failed, messages lost or repeated"
    fine = [_FIGURE, replace(_THEIRS, lost=5)]
    assert _by_measure(fine)[measure].reached is True
    for mishap in (
        replace(_FIGURE, round=2, lost=1),
        replace(_FIGURE, round=2, repeated=1),
        replace(_FIGURE, round=2, layer="ours-base", failed={"ShardUnavailable": 1}),
    ):
        assert _by_measure([*fine, mishap])[measure].reached is False


def test_connections_are_counted_in_every_round() -> None:
    """Three in one round are too many."""
    figures = [
        replace(_FIGURE, measure=CONNECTIONS, round=round, value=value, unit="")
        for round, value in ((1, 2.0), (2, 3.0), (3, 2.0))
    ]
    assert _by_measure(figures)[CONNECTIONS].reached is False
    assert _by_measure(figures[:1])[CONNECTIONS].reached is True


@pytest.mark.parametrize("value", [None, 0.0])
def test_slice_of_ours_in_which_nothing_succeeded_is_missed(value: float | None) -> None:
    """Not left out, however good the other rounds are, nor if there is none."""
    good, empty = [_FIGURE, _THEIRS], replace(_FIGURE, round=2, value=value, calls=0)
    for figures in ([*good, empty, replace(_THEIRS, round=2)], [empty, replace(_THEIRS, round=2)]):
        target = _by_measure(figures)[f"{CONCURRENT} / pub/sub"]
        assert (target.reached, target.lacking) == (False, "nothing measured")


def test_slice_without_a_figure_has_no_mishaps_to_count() -> None:
    """Where nothing was sent nothing is lost."""
    empty = replace(_FIGURE, value=None, calls=0)
    assert mishaps_target("lost", [_FIGURE], "lost").reached is True
    assert mishaps_target("lost", [_FIGURE, empty], "lost").reached is False
    assert mishaps_target("lost", [], "lost").reached is None


def test_value_of_zero_is_a_value() -> None:
    """It is too few where more is better, and few enough where less is."""
    figures = [replace(_FIGURE, value=0.0)]
    assert value_target(figures, CONCURRENT, 5, "", at_least=True).reached is False
    assert value_target(figures, CONCURRENT, 5, "").reached is True
    assert value_target(figures, CONCURRENT, 5, "", layer="pubsub").reached is None
    absent = [*figures, replace(_FIGURE, round=2, value=None)]
    assert value_target(absent, CONCURRENT, 5, "").reached is False
