"""Runs the measures that were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.layer.chat.peers import CHATS
from benchmarks.layer.consumers import Consumers
from benchmarks.layer.figures import Figure
from benchmarks.layer.layers import LAYERS
from benchmarks.layer.measures import MEASURES, Calls
from benchmarks.machine import Placement
from benchmarks.plans import sized

NAMES = (*MEASURES, "consumers")
"""What can be asked for."""

WHAT = {
    **{name: layer.what for name, layer in LAYERS.items()},
    **{f"consumers: {name}": chat.what for name, chat in CHATS.items()},
}
"""What runs, by name, for the results."""

VERSIONS = [
    *(name for layer in LAYERS.values() for name in layer.versions),
    *(name for chat in CHATS.values() for name in chat.versions),
]
"""Distributions whose versions belong in the results."""


def run_layer(
    names: Sequence[str],
    peers: Sequence[str],
    folder: Path,
    *,
    rounds: int | None,
    quick: bool,
) -> Iterator[Figure]:
    """Yield the figures of all rounds of all measures.

    Args:
        names: Of measures, of NAMES.
        peers: Names of layers, for the measures of calls.
        folder: For logs.
        rounds: None for each measure's own.
        quick: Whether it is only a look whether all works.
    """
    placement = Placement.of_machine()
    calls = sized(Calls(), rounds=rounds, quick=quick)
    consumers = sized(Consumers(), rounds=rounds, quick=quick)
    yield from calls.run(names, [LAYERS[name] for name in peers], placement, folder)
    if "consumers" in names:
        yield from consumers.run(placement, folder)
