"""The tables that a run prints: medians over the rounds, with the smallest and largest value."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from rich.table import Table

from benchmarks.peers.base import Peer
from benchmarks.samples import Connected, Delivered, spread, values
from benchmarks.statistics import Spread
from benchmarks.targets import Target


def broadcast_table(peers: Sequence[Peer], samples: Sequence[Delivered]) -> Table:
    """Return one line per scenario and peer."""
    table = Table(title="Broadcast: median of the rounds (smallest … largest)")
    for heading in ("scenario", "server"):
        table.add_column(heading)
    for heading in (
        *("µs CPU/delivery", "deliveries/s", "p50 ms", "p95 ms", "p99 ms", "lost"),
        *("server busy", "clients busy", "Redis µs/message"),
    ):
        table.add_column(heading, justify="right")
    scenarios = dict.fromkeys(sample.scenario for sample in samples)
    for scenario, peer in product(scenarios, peers):
        where = {"scenario": scenario, "peer": peer.name}
        if not values(samples, "round", **where):
            continue
        figures = {
            name: spread(samples, name, **where).median
            for name in (
                *("deliveries_per_s", "p50_ms", "p95_ms", "p99_ms"),
                *("server_busy", "clients_busy", "redis_us_per_message"),
            )
        }
        table.add_row(
            scenario,
            peer.title,
            with_ends(spread(samples, "us_per_delivery", **where)),
            f"{figures['deliveries_per_s']:,.0f}",
            *(f"{figures[name]:.1f}" for name in ("p50_ms", "p95_ms", "p99_ms")),
            f"{sum(values(samples, 'lost', **where)):,.0f}",
            *(f"{figures[name]:.0%}" for name in ("server_busy", "clients_busy")),
            f"{figures['redis_us_per_message']:.0f}" if peer.redis else "",
        )
    return table


def connect_table(peers: Sequence[Peer], samples: Sequence[Connected]) -> Table:
    """Return one line per peer."""
    table = Table(title="Connect: median of the rounds (smallest … largest)")
    table.add_column("server")
    for heading in ("ms CPU/connect", "KB/connection", "connects/s", "Redis µs/connect"):
        table.add_column(heading, justify="right")
    for peer in peers:
        if not values(samples, "round", peer=peer.name):
            continue
        rate = Spread.of([s.connections / s.seconds for s in samples if s.peer == peer.name])
        redis = spread(samples, "redis_us_per_connect", peer=peer.name).median
        table.add_row(
            peer.title,
            with_ends(spread(samples, "ms_per_connect", peer=peer.name)),
            with_ends(spread(samples, "kb_per_connection", peer=peer.name)),
            f"{rate.median:,.0f}",
            f"{redis:.0f}" if peer.redis else "",
        )
    return table


def targets_table(targets: Sequence[Target]) -> Table:
    """Return one line per target: the limit, what was measured, and whether that is good."""
    table = Table(title="Targets: ratios within each round, then the median (smallest … largest)")
    table.add_column("measure")
    for heading in ("limit", "measured", "rounds", ""):
        table.add_column(heading, justify="right")
    verdicts = {True: "[green]pass", False: "[bold red]FAIL", None: "[dim]not measured"}
    for target in targets:
        measured = target.measured
        table.add_row(
            target.measure,
            f"{'≥' if target.at_least else '≤'} {target.limit:.4g} {target.unit}",
            ", ".join(filter(None, (with_ends(measured) if measured else "", target.lacking))),
            str(measured.count) if measured else "",
            verdicts[target.reached],
        )
    return table


def with_ends(figures: Spread) -> str:
    """Return a spread as the tables show it."""
    return f"{figures.median:.3g} ({figures.low:.3g} … {figures.high:.3g})"
