"""`soak`: the same for a long time; memory, descriptors, threads and tasks must not grow."""

from __future__ import annotations

import asyncio
import socket
import time
from argparse import ArgumentParser
from collections import defaultdict
from typing import Final

from realtime.loadtest.load_session import LoadSession
from realtime.loadtest.process_look import look_at_process
from realtime.loadtest.reporting.load_report import (
    LoadCheck,
    LoadReport,
    ReportPlot,
    ReportTable,
)
from realtime.loadtest.scenarios.crowd import meanwhile
from realtime.loadtest.scenarios.load_arguments import share
from realtime.loadtest.scenarios.verify_routing_scenario import VerifyRoutingScenario
from realtime.loadtest.slopes import slope_an_hour
from realtime.operations import nodes, shards

_MIB: Final = 1024.0 * 1024.0
_MEMORY, _DESCRIPTORS, _THREADS, _TASKS, _REDIS = (
    "memory of a process, MiB",
    "descriptors",
    "threads",
    "tasks of an event loop",
    "memory of Redis, MiB",
)


class SoakScenario(VerifyRoutingScenario):
    """Churns as `verify-routing` does, and looks at all processes at intervals."""

    help = "Run for a long time: how memory, file descriptors, threads, tasks and Redis grow."

    def __init__(self, options: dict[str, object]) -> None:
        super().__init__(options)
        self._lines: dict[str, dict[str, list[tuple[float, float | None]]]] = defaultdict(
            lambda: defaultdict(list)
        )

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Take what `verify-routing` takes, and how it looks."""
        super().add_arguments(parser)
        parser.set_defaults(seconds=3600.0, rate=100.0, clients=500)
        parser.add_argument(
            "--every",
            type=share,
            default=10,
            metavar="S",
            help="Seconds between two looks (default 10).",
        )
        parser.add_argument(
            "--settle",
            type=share,
            default=600,
            metavar="S",
            help="Seconds at the beginning that do not count for the growth (default 600; at most "
            "half of the time).",
        )
        for name, what in (
            ("memory", "MiB an hour of a process"),
            ("descriptor", "descriptors an hour of a process of this machine"),
            ("thread", "threads an hour of a process of this machine"),
            ("task", "tasks an hour of a process's event loop"),
            ("redis", "MiB an hour of a Redis server"),
        ):
            parser.add_argument(
                f"--max-{name}-slope", type=share, metavar="N", help=f"Growth at most: {what}."
            )

    async def run(self, session: LoadSession, report: LoadReport) -> None:
        """Churn, look, and reckon slopes."""
        began = time.monotonic()
        async with meanwhile(self._look_on()):
            await super().run(session, report)
        settled = min(self.options["settle"], (time.monotonic() - began) / 2)
        rows = []
        for option, kind in (
            ("memory", _MEMORY),
            ("descriptor", _DESCRIPTORS),
            ("thread", _THREADS),
            ("task", _TASKS),
            ("redis", _REDIS),
        ):
            slopes = []
            for name, line in sorted(self._lines[kind].items()):
                points = [(x, y) for x, y in line if y is not None]
                slope = slope_an_hour([(x, y) for x, y in points if x >= settled])
                if slope is not None:
                    slopes.append(slope)
                shown = "-" if slope is None else f"{slope:+,.2f}"
                if points:
                    rows.append(
                        (kind, name, f"{points[0][1]:,.1f}", f"{points[-1][1]:,.1f}", shown)
                    )
            limit = self.options[f"max_{option}_slope"]
            if limit is not None:
                found = max(slopes, default=None)
                report.checks.append(LoadCheck(name=f"{kind}, an hour", limit=limit, found=found))
            report.figures[f"{option}_slopes"] = slopes
        report.tables.append(
            ReportTable(
                title=f"Growth, from second {settled:.0f} on",
                head=("what", "of", "first", "last", "an hour"),
                rows=rows,
            )
        )
        report.plots += [
            ReportPlot(title=kind.capitalize(), across="seconds", lines=dict(lines))
            for kind, lines in self._lines.items()
            if lines
        ]

    async def _look_on(self) -> None:
        began = time.monotonic()
        while True:
            await asyncio.to_thread(self._look, began)
            await asyncio.sleep(self.options["every"])

    def _look(self, began: float) -> None:
        """Take what all processes tell in Redis, and what /proc says of those of this machine."""
        at, here = time.monotonic() - began, socket.gethostname()
        for node in nodes().nodes:
            name = f"{node.role} {node.id}"
            if node.memory is not None:
                self._lines[_MEMORY][name].append((at, node.memory / _MIB))
            if node.tasks is not None:
                self._lines[_TASKS][name].append((at, node.tasks))
            found = look_at_process(node.pid) if node.host == here else None
            if found is not None:
                self._lines[_DESCRIPTORS][name].append((at, found.descriptors))
                self._lines[_THREADS][name].append((at, found.threads))
        for server in shards().servers:
            if server.memory is not None:
                self._lines[_REDIS][server.address].append((at, server.memory / _MIB))
