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
from benchmarks.statistics import paired_ratios
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
        value_target(figures, CONNECTIONS, 2, "", layer="ours", always=True),
        mishaps_target(
            "ours: calls that failed, messages lost or repeated",
            [figure for figure in figures if figure.layer.startswith("ours")],
            *("lost", "repeated", "failed"),
            promise=False,
        ),
    ]


def ratios(figures: Sequence[Figure], measure: str, ours: str, peer: str) -> list[float | None]:
    """Divide what ran in the same round.

    None stands for a slice of ours in which nothing succeeded. One of the peer's in which nothing
    did has no ratio: that is no fault of ours.
    """
    values = {
        (figure.layer, figure.round): figure.value
        for figure in figures
        if figure.measure == measure
    }
    rounds = [round for layer, round in values if layer == ours and (peer, round) in values]
    return paired_ratios(
        [values[ours, round] for round in rounds], [values[peer, round] for round in rounds]
    )


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
    title = title or f"{measure}: {ours} / {peer}"
    return Target.of(title, limit, "x", ratios(figures, measure, ours, peer), at_least=at_least)


def value_target(
    figures: Sequence[Figure],
    measure: str,
    limit: float,
    unit: str,
    *,
    layer: str = "",
    title: str = "",
    always: bool = False,
    at_least: bool = False,
    promise: bool = False,
) -> Target:
    """Return the target of a measure that is judged by itself.

    Args:
        figures: All that were measured.
        measure: Which.
        limit: See Target.
        unit: See Target.
        layer: Whose; empty: that of all layers.
        title: What the target is called; empty: as the measure.
        always: See Target.
        at_least: See Target.
        promise: See Target.
    """
    return Target.of(
        title or measure,
        limit,
        unit,
        [
            each.value
            for each in figures
            if each.measure == measure and (not layer or each.layer == layer)
        ],
        always=always,
        at_least=at_least,
        promise=promise,
    )


def mishaps_target(
    title: str, figures: Sequence[Figure], *kinds: str, promise: bool = True
) -> Target:
    """Return the target of what must not happen in any slice, in which something has to happen.

    Args:
        title: What the target is called.
        figures: The slices.
        kinds: What is counted: "lost", "repeated", "failed".
        promise: See Target.
    """

    def count(figure: Figure) -> int | None:
        counts = {
            "lost": figure.lost,
            "repeated": figure.repeated,
            "failed": sum(figure.failed.values()),
        }
        if figure.value is None and not any(counts.values()):
            return None
        return sum(counts[kind] for kind in kinds)

    return none_target(title, [count(figure) for figure in figures], promise=promise)
