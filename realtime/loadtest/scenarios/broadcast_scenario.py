"""`broadcast`: a stream of publications to rooms, complete at each client and in time."""

from __future__ import annotations

import time
from argparse import ArgumentParser

from realtime.loadtest.load_failed import LoadFailed
from realtime.loadtest.load_session import LoadClient, LoadSession
from realtime.loadtest.reporting.load_report import LoadReport
from realtime.loadtest.reporting.report_parts import tell_deliveries
from realtime.loadtest.scenarios.load_arguments import (
    add_connect_limits,
    add_crowd,
    add_delivery_limits,
    add_stream,
    check_deliveries,
    check_refused,
    share,
)
from realtime.loadtest.scenarios.load_scenario import LoadScenario


class BroadcastScenario(LoadScenario):
    """Publishes at a pace to rooms full of clients."""

    help = "Publish to rooms full of clients: complete at each of them, and in time."

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Take the crowd, the stream and their limits."""
        add_crowd(parser, clients=100, rooms=1)
        add_stream(parser, rate=25, seconds=10)
        parser.add_argument(
            "--patience",
            type=share,
            default=30,
            metavar="S",
            help="Seconds that clients may wait for the last ones (default 30).",
        )
        add_connect_limits(parser)
        add_delivery_limits(parser)

    async def run(self, session: LoadSession, report: LoadReport) -> None:
        """Connect, publish, and see whether everybody has everything."""
        options = self.options
        rooms: int = options["rooms"]
        await session.prepare(rooms)
        people = [LoadClient(number, [number % rooms]) for number in range(options["clients"])]
        session.view.phase(f"{len(people):,} clients connect to {rooms} rooms.")
        ready = await session.open(people, pace=options["pace"])
        if not ready:
            check_refused(options, report, ready)
            report.findings.append("No client got in, so nothing was published.")
            return
        await session.begin()
        count = round(options["rate"] * options["seconds"])
        if not count:
            raise LoadFailed("--rate and --seconds make no publication.")
        session.view.phase(
            f"{count:,} publications, {options['rate']:g} a second, through {options['through']}."
        )
        began = time.monotonic()
        await session.publish(rate=options["rate"], count=count, size=options["size"])
        seconds = time.monotonic() - began
        finish = await session.finish(patience=options["patience"])
        tell_deliveries(session, report, finish, seconds=seconds)
        check_refused(options, report, ready)
        check_deliveries(options, session, report, finish, seconds=seconds)
