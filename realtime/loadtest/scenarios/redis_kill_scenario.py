"""`redis-kill`: Redis dies while clients connect; nobody is lost, and the fallback is counted."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser

from realtime.loadtest.load_failed import LoadFailed
from realtime.loadtest.load_session import LoadSession, SessionOptions
from realtime.loadtest.matrix.loopback_house import LoopbackHouse, redis_program
from realtime.loadtest.matrix.loopback_session import loopback_session
from realtime.loadtest.reporting.live_view import LoadView
from realtime.loadtest.reporting.load_report import LoadCheck, LoadReport
from realtime.loadtest.reporting.report_parts import tell_deliveries, tell_session
from realtime.loadtest.scenarios.crowd import spread_crowd
from realtime.loadtest.scenarios.delivery_counts import DeliveryCounts
from realtime.loadtest.scenarios.load_arguments import add_warm_up, check_counts, share
from realtime.loadtest.scenarios.load_scenario import LoopbackScenario
from realtime.management.arguments import count

_POLL = 0.1  # seconds
_PATIENCE = 60.0  # seconds


class RedisKillScenario(LoopbackScenario):
    """Makes a deployment of its own. What is published while Redis is away comes afterwards."""

    help = "Make a deployment here, kill its Redis while clients connect, and start it again."

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Take the crowd, and how long Redis is away."""
        parser.add_argument("--clients", type=count, default=1000, help="Clients (default 1,000).")
        parser.add_argument("--rooms", type=count, default=50, help="Rooms (default 50).")
        parser.add_argument("--workers", type=count, default=2, help="Workers (default 2).")
        parser.add_argument(
            "--away", type=share, default=2, help="Seconds without Redis (default 2)."
        )
        parser.add_argument(
            "--rate", type=share, default=100, help="Publications a second (default 100)."
        )
        parser.add_argument(
            "--append-only",
            action="store_true",
            help="Redis keeps an append-only file. Without it Redis comes back empty, and all "
            "nodes are told of everything for the time of one lease.",
        )
        add_warm_up(parser)
        parser.add_argument("--redis-server", metavar="PROGRAM", help="The server to start.")

    async def run(self, options: SessionOptions, view: LoadView, report: LoadReport) -> None:
        """Connect half, kill, connect the others, start Redis again, and publish."""
        if not round(self.options["rate"]):
            raise LoadFailed("--rate makes no publication in a second.")
        house = LoopbackHouse(
            workers=self.options["workers"],
            shards=32,
            servers=1,
            redis=redis_program(self.options["redis_server"]),
            keeps=self.options["append_only"],
        )
        async with loopback_session(house, options, view) as session:
            await self._test(session, house, report)
            tell_session(session, report)

    async def _test(self, session: LoadSession, house: LoopbackHouse, report: LoadReport) -> None:
        options = self.options
        rooms, clients, rate = options["rooms"], options["clients"], options["rate"]
        await session.prepare(rooms, reconnects=True)
        people = spread_crowd(options)
        first, others = people[: clients // 2], people[clients // 2 :]
        await session.open(first)
        await session.begin()
        await session.publish(rate=rate, count=max(rooms, round(rate)), size=250)
        before = await session.metrics()
        session.view.phase(f"{len(first)} are connected. Redis is killed; the others connect.")
        await asyncio.to_thread(house.kill_server)
        connecting = asyncio.create_task(session.open(others, pace=len(others) / 2))
        stream = asyncio.create_task(
            session.publish(rate=rate, count=round(rate * (options["away"] + 2)), size=250)
        )
        await asyncio.sleep(options["away"])
        session.view.phase("Redis is started again.")
        await asyncio.to_thread(house.restart_server)
        await connecting
        await stream
        for _ in range(round(_PATIENCE / _POLL)):  # whoever was refused tries again
            if session.figures.connected == clients:
                break
            await asyncio.sleep(_POLL)
        during = (await session.metrics()).since(before)
        fallback = during.sum("dispatch_total", type="fallback")
        await session.publish(rate=rate, count=round(rate * options["warm_up"]), size=250)
        after = await session.metrics()
        await session.publish(rate=rate, count=round(rate), size=250)
        targeted = (await session.metrics()).since(after).sum("dispatch_total", type="targeted")
        finish = await session.finish(patience=_PATIENCE)
        tell_deliveries(session, report, finish, seconds=session.figures.seconds)
        report.facts += [
            ("Told to all nodes", f"{fallback:,.0f} publications after Redis came back"),
            ("Told to some again", f"{targeted:,.0f} of {rate:,.0f} publications, a lease later"),
        ]
        cut = session.figures.counted("losses").total()
        report.checks += [
            LoadCheck(name="not connected", limit=0, found=clients - session.figures.connected),
            LoadCheck(name="connections that broke", limit=0, found=cut),
        ]
        check_counts(report, DeliveryCounts.of(session, missing=finish.missing))
        if not options["append_only"]:
            report.checks.append(
                LoadCheck(name="fallback counted", limit=1, found=fallback, at_least=True)
            )
        report.figures |= {"fallback": fallback, "targeted_again": targeted}
