"""`targeted`: users with several devices; a publication is told to the nodes that have them."""

from __future__ import annotations

from argparse import ArgumentParser

from realtime.loadtest.load_session import LoadClient, LoadSession
from realtime.loadtest.metrics_reading import MetricsReading
from realtime.loadtest.reporting.load_report import LoadCheck, LoadReport, ReportTable
from realtime.loadtest.reporting.report_parts import tell_deliveries
from realtime.loadtest.scenarios.crowd import connect_crowd, publish_stream
from realtime.loadtest.scenarios.load_arguments import (
    add_clients,
    add_stream,
    check_deliveries,
    share,
)
from realtime.loadtest.scenarios.load_scenario import LoadScenario
from realtime.management.arguments import count


class TargetedScenario(LoadScenario):
    """Gives each user a room, which their devices are in, on whatever nodes they come to."""

    help = "Publish to users with devices on several nodes: only those nodes are told."

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Take users, devices, the stream and limits."""
        parser.add_argument("--users", type=count, default=200, help="Users (default 200).")
        parser.add_argument(
            "--devices", type=count, default=2, help="Connections of a user (default 2)."
        )
        add_clients(parser)
        add_stream(parser, rate=200, seconds=10)
        parser.add_argument(
            "--min-targeted",
            type=share,
            default=80,
            metavar="PERCENT",
            help="Publications that went only to the nodes with members (default 80).",
        )
        parser.add_argument(
            "--max-lookup-p99",
            type=share,
            default=2,
            metavar="MS",
            help="Milliseconds of a call to Redis that looks up nodes and publishes (default 2; "
            "0: no limit).",
        )

    async def run(self, session: LoadSession, report: LoadReport) -> None:
        """Connect all devices, publish to users in turn, and ask /metrics."""
        options = self.options
        users, devices = options["users"], options["devices"]
        await session.prepare(users)
        people = [LoadClient(number, [number // devices]) for number in range(users * devices)]
        if not await connect_crowd(session, options, report, people):
            return
        where = await session.where()
        before = await session.metrics()
        seconds = await publish_stream(session, options)
        finish = await session.finish(patience=options["patience"])
        grown = (await session.metrics()).since(before)
        tell_deliveries(session, report, finish, seconds=seconds)
        nodes = [
            len({where.get(user * devices + device) for device in range(devices)})
            for user in range(users)
        ]
        report.facts.append(("Nodes of a user", f"{sum(nodes) / users:.2f} on average"))
        check_deliveries(options, session, report, finish, seconds=seconds)
        self._tell_dispatch(report, grown)

    def _tell_dispatch(self, report: LoadReport, grown: MetricsReading) -> None:
        kinds = {kind: value for (kind,), value in grown.by("dispatch_total", "type").items()}
        told = sum(kinds.values())
        targeted = 100 * kinds.get("targeted", 0.0) / told if told else None
        lookup = grown.quantile("redis_lookup_duration_seconds", 0.99)
        report.tables.append(
            ReportTable(
                title="Who was told",
                head=("type", "publications"),
                rows=[(kind, f"{value:,.0f}") for kind, value in sorted(kinds.items())],
            )
        )
        report.checks += [
            LoadCheck(
                name="targeted",
                limit=self.options["min_targeted"],
                found=targeted,
                unit="%",
                at_least=True,
            ),
        ]
        if self.options["max_lookup_p99"]:
            report.checks.append(
                LoadCheck(
                    name="lookup, p99",
                    limit=self.options["max_lookup_p99"],
                    found=None if lookup is None else lookup * 1e3,
                    unit="ms",
                )
            )
        if kinds.get("fallback"):
            report.findings.append(
                f"{kinds['fallback']:,.0f} publications were told to all nodes, as the registry "
                "could not be trusted. That is so for one lease (lease_ttl, 60 s) after Redis was "
                "new or empty, or after a node could not renew its lease."
            )
        report.figures |= {"dispatch": kinds, "targeted_percent": targeted, "lookup_p99": lookup}
