"""`storm`: everybody is cut off at once and comes back, while publications go on."""

from __future__ import annotations

import asyncio
import time
from argparse import ArgumentParser

from realtime.loadtest.load_session import LoadSession
from realtime.loadtest.reporting.live_view import in_ms
from realtime.loadtest.reporting.load_report import LoadCheck, LoadReport
from realtime.loadtest.reporting.report_parts import tell_deliveries
from realtime.loadtest.scenarios.crowd import connect_crowd, publish_stream, spread_crowd
from realtime.loadtest.scenarios.load_arguments import (
    add_crowd,
    add_stream,
    check_deliveries,
    share,
)
from realtime.loadtest.scenarios.load_scenario import LoadScenario


class StormScenario(LoadScenario):
    """Cuts all clients off in the middle of a stream, and has them resume."""

    help = "Cut all clients off at once: how long until all are back and have what they missed."

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Take the crowd, the stream and limits."""
        add_crowd(parser, clients=1000, rooms=50)
        parser.add_argument(
            "--away", type=share, default=0.5, metavar="S", help="Seconds away (default 0.5)."
        )
        add_stream(parser, rate=100, seconds=8)
        parser.add_argument(
            "--max-back",
            type=share,
            metavar="S",
            help="Seconds from the first new connection until all are subscribed and recovered.",
        )

    async def run(self, session: LoadSession, report: LoadReport) -> None:
        """Connect, publish, cut off, come back."""
        options, figures = self.options, session.figures
        await session.prepare(options["rooms"], reconnects=True)
        people = spread_crowd(options)
        if not await connect_crowd(session, options, report, people):
            return
        stream = asyncio.create_task(publish_stream(session, options))
        await asyncio.sleep(options["seconds"] / 3)
        session.view.phase(f"All are cut off, for {options['away']:g} s.")
        await session.leave([person.number for person in people], politely=False)
        await asyncio.sleep(options["away"])
        figures.forget_connects()
        began = time.monotonic()
        back = await session.open(people, at_once=len(people))
        needed = time.monotonic() - began
        session.view.phase(f"{back:,} are back after {needed:.2f} s.")
        seconds = await stream
        finish = await session.finish(patience=options["patience"])
        times = " / ".join(in_ms(figures.connects.percentile(percent)) for percent in (50, 95, 99))
        report.facts.append(("Back", f"{back:,} of {len(people):,} in {needed:.2f} s"))
        report.facts.append(("Each back", f"p50 / p95 / p99 {times} ms"))
        tell_deliveries(session, report, finish, seconds=seconds)
        check_deliveries(options, session, report, finish, seconds=seconds)
        report.checks.append(
            LoadCheck(name="not back", limit=options["max_refused"], found=len(people) - back)
        )
        if options["max_back"] is not None:
            found = needed if back else None
            report.checks.append(
                LoadCheck(name="all back", limit=options["max_back"], found=found, unit="s")
            )
        report.figures |= {"back": back, "back_seconds": needed}
