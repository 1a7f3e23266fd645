"""Shows a load test while it runs: tables of all, of nodes, of shards, that renew themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from realtime.loadtest.crew.load_figures import LoadFigures, LoadSample, PlaceFigures
from realtime.loadtest.reporting.live_view import LoadView, in_ms

_SHOWN: Final = 12  # nodes, or shards

Key = TypeVar("Key", str, int)


class RichView(LoadView):
    """A table of all, of nodes and of shards, in place. Of many, it shows the worst.

    Args:
        console: Where; None: the terminal.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._phase = ""
        self._live = Live(console=console, auto_refresh=False)
        self._live.start()

    def phase(self, text: str) -> None:
        """Show it above the tables."""
        self._phase = text

    def show(self, figures: LoadFigures, sample: LoadSample) -> None:
        """Draw the tables."""
        self._live.update(self._tables(figures, sample), refresh=True)

    def _tables(self, figures: LoadFigures, sample: LoadSample) -> Group:
        whole = Table(
            title=Text(self._phase, style="table.title"), title_justify="left", expand=False
        )
        for name in ("s", "connected", "published/s", "deliveries/s", "p50", "p95", "p99 ms"):
            whole.add_column(name, justify="right")
        for name in ("missed", "busiest process"):
            whole.add_column(name, justify="right")
        whole.add_row(
            f"{sample.at:.0f}",
            f"{sample.connected:,}",
            f"{sample.published:,.0f}",
            f"{sample.deliveries:,.0f}",
            *map(in_ms, (sample.p50, sample.p95, sample.p99)),
            f"{sample.missed:,}",
            f"{sample.busiest:.0%}",
            style="red" if sample.missed else None,
        )
        percents = (50, 95, 99)
        nodes = Table("node", "connected", "deliveries", "p50", "p95", "p99 ms", "missed")
        nodes.caption = _left_out(len(figures.nodes))
        for name, place in _worst(figures.nodes):
            nodes.add_row(
                Text(name),
                f"{sum(place.connected.values()):,}",
                f"{place.delays.total:,}",
                *(in_ms(place.delays.percentile(percent)) for percent in percents),
                f"{place.missed:,}",
            )
        shards = Table("shard", "deliveries", "p50", "p95", "p99 ms", "missed")
        shards.caption = _left_out(len(figures.shards))
        for shard, place in _worst(figures.shards):
            shards.add_row(
                "unknown" if shard < 0 else str(shard),
                f"{place.delays.total:,}",
                *(in_ms(place.delays.percentile(percent)) for percent in percents),
                f"{place.missed:,}",
            )
        return Group(whole, Columns([nodes, shards]))

    def close(self) -> None:
        """Leave the last tables where they are."""
        self._live.stop()


def _worst(places: Mapping[Key, PlaceFigures]) -> list[tuple[Key, PlaceFigures]]:
    """Return those that missed most, and of these the slowest, in the order of their names."""

    def badness(item: tuple[Key, PlaceFigures]) -> tuple[int, float]:
        _, place = item
        return place.missed, place.delays.percentile(99) or 0.0

    worst = sorted(places.items(), key=badness, reverse=True)[:_SHOWN]
    return sorted(worst, key=lambda item: item[0])


def _left_out(count: int) -> str | None:
    return f"the worst {_SHOWN} of {count:,}" if count > _SHOWN else None
