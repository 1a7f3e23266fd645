"""`connect`: who gets in, how fast, and how even they are over the nodes."""

from __future__ import annotations

import asyncio
import time
from argparse import ArgumentParser
from collections.abc import Sequence

from realtime.loadtest.load_session import LoadSession
from realtime.loadtest.reporting.live_view import in_ms
from realtime.loadtest.reporting.load_report import LoadCheck, LoadReport
from realtime.loadtest.scenarios.crowd import spread_crowd
from realtime.loadtest.scenarios.load_arguments import (
    add_connect_limits,
    add_crowd,
    check_entered,
    share,
)
from realtime.loadtest.scenarios.load_scenario import LoadScenario


class ConnectScenario(LoadScenario):
    """Connects and subscribes clients, and keeps them for a while."""

    help = "Connect clients: how many get in, how fast, and how evenly they spread over the nodes."
    publishes = False

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Take the crowd and its limits."""
        add_crowd(parser, clients=1000, rooms=10)
        parser.add_argument(
            "--hold", type=share, default=2, metavar="S", help="Seconds that they stay (default 2)."
        )
        add_connect_limits(parser)
        parser.add_argument(
            "--max-connect-p95",
            type=share,
            metavar="MS",
            help="Milliseconds from the first packet until a client is subscribed, p95.",
        )
        parser.add_argument(
            "--max-uneven",
            type=share,
            metavar="RATIO",
            help="Clients of the fullest node, divided by those of the emptiest node.",
        )

    async def run(self, session: LoadSession, report: LoadReport) -> None:
        """Connect, wait, and count."""
        options, figures = self.options, session.figures
        rooms: int = options["rooms"]
        await session.prepare(rooms)
        people = spread_crowd(options)
        session.view.phase(f"{len(people):,} clients connect to {rooms} rooms.")
        began = time.monotonic()
        ready = await session.open(people, pace=options["pace"])
        seconds = time.monotonic() - began
        await asyncio.sleep(max(1.0, options["hold"]))  # a second, so that all have reported
        stayed = figures.connected
        connects = [figures.connects.percentile(percent) for percent in (50, 95, 99)]
        report.facts += [
            ("Subscribed", f"{ready:,} of {len(people):,}, {ready / seconds:,.0f} a second"),
            ("Until subscribed", f"p50 / p95 / p99 {' / '.join(map(in_ms, connects))} ms"),
            ("Still there", f"{stayed:,} after {options['hold']:g} s"),
        ]
        counts = [sum(node.connected.values()) for node in figures.nodes.values()]
        uneven = unevenness(counts)
        check_entered(report, options, min(ready, stayed), len(people))
        if options["max_connect_p95"] is not None:
            found = None if connects[1] is None else connects[1] * 1e3
            limit = options["max_connect_p95"]
            report.checks.append(
                LoadCheck(name="until subscribed, p95", limit=limit, found=found, unit="ms")
            )
        if options["max_uneven"] is not None:
            report.checks.append(
                LoadCheck(name="uneven", limit=options["max_uneven"], found=uneven)
            )
        report.figures |= {
            "subscribed": ready,
            "stayed": stayed,
            "connects_a_second": ready / seconds,
            "uneven": uneven,
        }


def unevenness(counts: Sequence[int]) -> float | None:
    """Return the clients of the fullest node, by those of the emptiest; None: there are none."""
    return max(counts) / max(1, min(counts)) if any(counts) else None
