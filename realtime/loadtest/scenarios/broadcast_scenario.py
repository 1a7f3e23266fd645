"""`broadcast`: a stream of publications to rooms, complete at each client and in time."""

from __future__ import annotations

from argparse import ArgumentParser

from realtime.loadtest.load_session import LoadSession
from realtime.loadtest.reporting.load_report import LoadReport
from realtime.loadtest.reporting.report_parts import tell_deliveries
from realtime.loadtest.scenarios.crowd import connect_crowd, publish_stream, spread_crowd
from realtime.loadtest.scenarios.load_arguments import (
    add_crowd,
    add_stream,
    check_deliveries,
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

    async def run(self, session: LoadSession, report: LoadReport) -> None:
        """Connect, publish, and see whether everybody has everything."""
        options = self.options
        await session.prepare(options["rooms"])
        people = spread_crowd(options)
        if not await connect_crowd(session, options, report, people):
            return
        seconds = await publish_stream(session, options)
        finish = await session.finish(patience=options["patience"])
        tell_deliveries(session, report, finish, seconds=seconds)
        check_deliveries(options, session, report, finish, seconds=seconds)
