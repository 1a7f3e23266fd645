"""`dispatch-metrics`: what /metrics counts is what clients saw."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser

from realtime.loadtest.load_session import LoadSession
from realtime.loadtest.reporting.load_report import LoadCheck, LoadReport, ReportTable
from realtime.loadtest.reporting.report_parts import tell_deliveries
from realtime.loadtest.scenarios.crowd import connect_crowd, publish_stream, spread_crowd
from realtime.loadtest.scenarios.load_arguments import (
    add_crowd,
    add_stream,
    check_deliveries,
    share,
)
from realtime.loadtest.scenarios.load_scenario import LoadScenario

_OLD = 2.5  # seconds: other processes' figures are written once a second


class DispatchMetricsScenario(LoadScenario):
    """Compares counters with deliveries. Nobody else may use the deployment meanwhile."""

    help = "Compare /metrics with what clients saw; nobody else may use the deployment meanwhile."

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Take the crowd, the stream and limits."""
        add_crowd(parser, clients=1000, rooms=50)
        add_stream(parser, rate=100, seconds=10)
        parser.add_argument(
            "--max-difference",
            type=share,
            default=0,
            metavar="N",
            help="By how much a figure may differ (default 0).",
        )

    async def run(self, session: LoadSession, report: LoadReport) -> None:
        """Read, connect, publish, read again, and compare."""
        options, figures = self.options, session.figures
        await session.prepare(options["rooms"])
        await session.begin()  # which publishes one
        await asyncio.sleep(_OLD)
        before = await session.metrics()
        people = spread_crowd(options)
        if not await connect_crowd(session, options, report, people):
            return
        seconds = await publish_stream(session, options)
        finish = await session.finish(patience=options["patience"])
        await asyncio.sleep(_OLD)
        grown = (await session.metrics()).since(before)
        tell_deliveries(session, report, finish, seconds=seconds)
        recovered = figures.counted("counts")["recovered"]
        acknowledged = sum(session.published.values()) - figures.failed
        pairs = [
            ("connections", figures.connected, grown.sum("connections")),
            ("subscriptions", figures.connected, grown.sum("subscriptions")),
            ("publications_total", acknowledged, grown.sum("publications_total")),
            ("dispatch_total, all types", acknowledged, grown.sum("dispatch_total")),
            ("deliveries_total", figures.deliveries + recovered, grown.sum("deliveries_total")),
        ]
        told = {
            int(shard): n for (shard,), n in grown.by("shard_deliveries_total", "shard").items()
        }
        pairs += [
            (f"shard_deliveries_total, {shard}", place.delays.total, told.get(shard, 0.0))
            for shard, place in sorted(figures.shards.items())
            if shard >= 0
        ]
        report.tables.append(
            ReportTable(
                title="Clients and /metrics",
                head=("figure", "clients saw", "/metrics says"),
                rows=[(name, f"{saw:,}", f"{says:,.0f}") for name, saw, says in pairs],
            )
        )
        most = max(abs(saw - says) for _, saw, says in pairs)
        check_deliveries(options, session, report, finish, seconds=seconds)
        report.checks.append(
            LoadCheck(name="difference", limit=options["max_difference"], found=most)
        )
        report.figures["differences"] = {name: says - saw for name, saw, says in pairs}
