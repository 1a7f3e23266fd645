"""`verify-routing`: clients come, go, and change rooms; nothing is lost, doubled or misled."""

from __future__ import annotations

import asyncio
import random
from argparse import ArgumentParser

from realtime.loadtest.load_session import LoadClient, LoadSession
from realtime.loadtest.reporting.load_report import LoadCheck, LoadReport
from realtime.loadtest.reporting.report_parts import tell_deliveries
from realtime.loadtest.scenarios.crowd import connect_crowd, meanwhile, publish_stream
from realtime.loadtest.scenarios.load_arguments import (
    add_crowd,
    add_stream,
    check_deliveries,
    share,
)
from realtime.loadtest.scenarios.load_scenario import LoadScenario
from realtime.management.arguments import count

_TURN = 0.25  # seconds between two changes


class VerifyRoutingScenario(LoadScenario):
    """Publishes while clients leave, are cut off, come back, and change rooms."""

    help = "Publish while clients come, go and change rooms: nothing is lost, doubled or misrouted."

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Take the crowd, the churn, the stream and limits."""
        add_crowd(parser, clients=200, rooms=40)
        parser.add_argument(
            "--rooms-each", type=count, default=3, help="Rooms of a client (default 3)."
        )
        parser.add_argument(
            "--churn",
            type=share,
            default=10,
            metavar="PERCENT",
            help="Percent of the clients that leave and come back each second; as many change a "
            "room (default 10).",
        )
        parser.add_argument("--seed", type=int, default=1, help="Of random choices (default 1).")
        add_stream(parser, rate=400, seconds=10)

    async def run(self, session: LoadSession, report: LoadReport) -> None:
        """Connect, publish under churn, and look for what is missing."""
        options = self.options
        rooms: int = options["rooms"]
        each = min(options["rooms_each"], rooms)
        await session.prepare(rooms, reconnects=True)
        people = [
            LoadClient(number, [(number + step * 7) % rooms for step in range(each)])
            if len({(number + step * 7) % rooms for step in range(each)}) == each
            else LoadClient(number, [(number + step) % rooms for step in range(each)])
            for number in range(options["clients"])
        ]
        if not await connect_crowd(session, options, report, people):
            return
        async with meanwhile(self._churn(session, people)):
            seconds = await publish_stream(session, options)
        await session.open(people)  # whoever was away when it ended
        finish = await session.finish(patience=options["patience"])
        tell_deliveries(session, report, finish, seconds=seconds)
        report.facts.append(("Left, changed rooms", f"{self._left:,}, {self._moved:,}"))
        report.figures |= {"left": self._left, "moved": self._moved}
        check_churn(report, self._left + self._moved)
        check_deliveries(options, session, report, finish, seconds=seconds)

    async def _churn(self, session: LoadSession, people: list[LoadClient]) -> None:
        choose = random.Random(self.options["seed"])  # noqa: S311 - the same choices again
        rooms = {person.number: list(person.rooms) for person in people}
        count = max(1, round(len(people) * self.options["churn"] / 100 * _TURN))
        self._left = self._moved = 0
        while True:
            await asyncio.sleep(_TURN)
            chosen = choose.sample(range(len(people)), min(2 * count, len(people)))
            away, moving = chosen[:count], chosen[count:]
            half = len(away) // 2
            await session.leave(away[:half], politely=True)
            await session.leave(away[half:], politely=False)
            moves = []
            for number in moving:
                free = [room for room in range(len(session.rooms)) if room not in rooms[number]]
                if free:
                    old, new = choose.choice(rooms[number]), choose.choice(free)
                    moves.append((number, [old], [new]))
                    rooms[number] = [room for room in rooms[number] if room != old] + [new]
            self._moved += await session.switch(moves)
            self._left += len(away)
            await session.open([LoadClient(number, rooms[number]) for number in away])


def check_churn(report: LoadReport, changes: int) -> None:
    """Write down that nothing was tested if nobody left or changed a room while it was published.

    Args:
        report: Where to.
        changes: How many did.
    """
    if not changes:
        report.checks.append(
            LoadCheck(name="left or changed rooms", limit=1, found=0, at_least=True)
        )
