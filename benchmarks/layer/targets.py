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
from benchmarks.targets import Target, none_target


def layer_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `layer`."""

    def ratio(
        measure: str, limit: float, peer: str, *, ours: str = "ours", at_least: bool = False
    ) -> Target:
        """Ours against a peer's, round by round."""
        names = {"pubsub": "pub/sub", "core": "core"}
        call = ", group_send_sync" if ours == BLOCKING else ""
        title = f"{measure}{call} / {names[peer]}"
        return ratio_target(figures, measure, limit, ours, peer, title=title, at_least=at_least)

    def consumers(base: str, limit: float, ours: str) -> Target:
        title = f"{CONSUMERS}, {base} / pub/sub"
        return ratio_target(figures, CONSUMERS, limit, ours, "pubsub", title=title)

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
            measured=values_of(figures, CONNECTIONS, "ours"),
            always=True,
        ),
        none_target(
            "ours: calls that failed, messages lost or repeated", _mishaps(figures), promise=False
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


def ratio_target(
    figures: Sequence[Figure],
    measure: str,
    limit: float,
    ours: str,
    peer: str,
    *,
    title: str = "",
    at_least: bool = False,
) -> Target:
    """Return the target of a measure that is judged by a peer's: see `ratios`."""
    return Target(
        measure=title or f"{measure}: {ours} / {peer}",
        limit=limit,
        unit="x",
        measured=ratios(figures, measure, ours, peer),
        at_least=at_least,
    )


def value_target(
    figures: Sequence[Figure],
    measure: str,
    limit: float,
    unit: str,
    *,
    always: bool = False,
    at_least: bool = False,
) -> Target:
    """Return the target of a measure that is judged by itself."""
    found = [each.value for each in figures if each.measure == measure and each.value]
    return Target(
        measure=measure,
        limit=limit,
        unit=unit,
        measured=Spread.of(found) if found else None,
        always=always,
        at_least=at_least,
    )


def values_of(figures: Sequence[Figure], measure: str, layer: str) -> Spread | None:
    """Return the values of one layer; None: there are none."""
    found = [
        figure.value
        for figure in figures
        if (figure.measure, figure.layer) == (measure, layer) and figure.value is not None
    ]
    return Spread.of(found) if found else None


def _mishaps(figures: Sequence[Figure]) -> list[int]:
    """Count what must not happen, in each slice of ours."""
    return [
        figure.lost + figure.repeated + sum(figure.failed.values())
        for figure in figures
        if figure.layer.startswith("ours")
    ]
