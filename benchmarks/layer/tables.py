"""The table of a run: medians over the rounds, with the smallest and largest value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from rich.table import Table

from benchmarks.layer.chat.peers import CHATS
from benchmarks.layer.consumers import CONSUMERS
from benchmarks.layer.figures import Figure
from benchmarks.layer.layers import LAYERS
from benchmarks.layer.measures import BLOCKING, NOTHING
from benchmarks.statistics import Spread
from benchmarks.tables import with_ends


def layer_table(figures: Sequence[Figure]) -> Table:
    """Return the table of `layer`."""
    return figures_table("Channel layers", "layer", figures, _titles)


def figures_table(
    title: str,
    kind: str,
    figures: Sequence[Figure],
    titles_of: Callable[[str], Mapping[str, str]] | None = None,
) -> Table:
    """Return one line per measure and layer. Calls that raised are named, not hidden.

    Args:
        kind: What `layer` names in these figures.
        titles_of: Returns the titles of a measure's layers, in order; None: as the figures name
            them.
    """
    table = Table(title=f"{title}: median of the rounds (smallest … largest)")
    for heading in ("measure", kind):
        table.add_column(heading)
    for heading in ("figure", "", "calls", "lost", "repeated", "failed"):
        table.add_column(heading, justify="right")
    lines: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        lines.setdefault((figure.measure, figure.layer), []).append(figure)
    for measure in dict.fromkeys(figure.measure for figure in figures):
        named = {layer: layer for of, layer in lines if of == measure}
        titles = named if titles_of is None else titles_of(measure)
        for layer in titles:
            if (measure, layer) in lines:
                table.add_row(measure, titles[layer], *_cells(lines[measure, layer]))
        table.add_section()
    return table


def _titles(measure: str) -> Mapping[str, str]:
    if measure == CONSUMERS:
        return {chat.name: chat.title for chat in CHATS.values()}
    return {
        **{layer.name: layer.title for layer in LAYERS.values()},
        BLOCKING: "ours, group_send_sync",
        NOTHING: "a coroutine that does nothing",
    }


def _cells(figures: Sequence[Figure]) -> list[str]:
    values = [figure.value for figure in figures if figure.value is not None]
    failed: Counter[str] = sum((Counter(figure.failed) for figure in figures), Counter())
    return [
        with_ends(Spread.of(values)) if values else "none succeeded",
        figures[0].unit,
        f"{sum(figure.calls for figure in figures):,}",
        f"{sum(figure.lost for figure in figures):,}",
        f"{sum(figure.repeated for figure in figures):,}",
        ", ".join(f"{count:,} {name}" for name, count in failed.items()),
    ]
