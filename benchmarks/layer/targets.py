"""What is to be reached of the layer; pure."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.layer.consumers import CONSUMERS
from benchmarks.layer.figures import Figure
from benchmarks.layer.measures import (
    BLOCKING,
    CONCURRENT,
    CONNECTIONS,
    REDIS,
    ROUND_TRIP,
    SEQUENTIAL,
    SYNC,
    THREADS,
)
from benchmarks.statistics import Spread
from benchmarks.targets import Target


def layer_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `layer`."""

    def ratio(
        measure: str, limit: float, peer: str, *, ours: str = "ours", at_least: bool = False
    ) -> Target:
        """Ours against a peer's, round by round."""
        names = {"pubsub": "pub/sub", "core": "core"}
        call = ", group_send_sync" if ours == BLOCKING else ""
        return Target(
            measure=f"{measure}{call} / {names[peer]}",
            limit=limit,
            unit="x",
            measured=ratios(figures, measure, ours, peer),
            at_least=at_least,
        )

    def consumers(base: str, limit: float, ours: str) -> Target:
        return Target(
            measure=f"{CONSUMERS}, {base} / pub/sub",
            limit=limit,
            unit="x",
            measured=ratios(figures, CONSUMERS, ours, "pubsub"),
        )

    opened = [
        figure.value
        for figure in figures
        if (figure.measure, figure.layer) == (CONNECTIONS, "ours") and figure.value is not None
    ]
    return [
        ratio(CONCURRENT, 8, "pubsub", at_least=True),
        ratio(SYNC, 10, "pubsub", at_least=True),
        ratio(THREADS, 30, "pubsub", at_least=True),
        ratio(SYNC, 10, "pubsub", ours=BLOCKING, at_least=True),
        ratio(THREADS, 30, "pubsub", ours=BLOCKING, at_least=True),
        ratio(SEQUENTIAL, 1, "pubsub", at_least=True),
        consumers("Channels' base", 0.8, "ours"),
        consumers("our base", 1 / 6, "ours-base"),
        ratio(ROUND_TRIP, 1.2, "core"),
        ratio(REDIS, 1 / 3, "core"),
        Target(
            measure=CONNECTIONS,
            limit=2,
            unit="",
            measured=Spread.of(opened) if opened else None,
            always=True,
        ),
        Target(
            measure="ours: calls that failed, messages lost or repeated",
            limit=0,
            unit="",
            measured=_mishaps(figures),
            always=True,
        ),
    ]


def ratios(figures: Sequence[Figure], measure: str, ours: str, peer: str) -> Spread | None:
    """Divide what ran in the same round; a slice without one successful call has no ratio."""
    values = {
        (figure.layer, figure.round): figure.value
        for figure in figures
        if figure.measure == measure and figure.value
    }
    ratios = [
        value / values[peer, round]
        for (layer, round), value in values.items()
        if layer == ours and (peer, round) in values
    ]
    return Spread.of(ratios) if ratios else None


def value_target(
    figures: Sequence[Figure], measure: str, limit: float, unit: str, *, always: bool = False
) -> Target:
    """Return the target of a measure that is judged by itself."""
    found = [each.value for each in figures if each.measure == measure and each.value]
    measured = Spread.of(found) if found else None
    return Target(measure=measure, limit=limit, unit=unit, measured=measured, always=always)


def _mishaps(figures: Sequence[Figure]) -> Spread | None:
    """Count what must not happen, in each slice of ours."""
    counts = [
        float(figure.lost + figure.repeated + sum(figure.failed.values()))
        for figure in figures
        if figure.layer.startswith("ours")
    ]
    return Spread.of(counts) if counts else None
