"""`matrix`: how many workers, shards and Redis servers; each combination is made and measured."""

from __future__ import annotations

import math
from argparse import ArgumentParser
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from statistics import median
from typing import Final

from realtime.loadtest.load_failed import LoadFailed
from realtime.loadtest.load_session import LoadSession, SessionOptions
from realtime.loadtest.matrix.loopback_house import LoopbackHouse, redis_program
from realtime.loadtest.matrix.loopback_session import loopback_session
from realtime.loadtest.reporting.live_view import LoadView, QuietView, in_ms
from realtime.loadtest.reporting.load_report import (
    LoadCheck,
    LoadReport,
    ReportPlot,
    ReportTable,
)
from realtime.loadtest.scenarios.crowd import spread_crowd
from realtime.loadtest.scenarios.delivery_counts import DeliveryCounts
from realtime.loadtest.scenarios.load_arguments import add_warm_up, check_counts, share
from realtime.loadtest.scenarios.load_scenario import LoopbackScenario
from realtime.management.arguments import count

DEFAULT_SHARDS: Final = 32
_PATIENCE: Final = 60.0  # seconds


@dataclass(frozen=True, slots=True, order=True)
class MatrixCell:
    """A combination.

    Attributes:
        workers, shards, servers: How many; servers of Redis.
    """

    workers: int
    shards: int
    servers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixSample:
    """What one measurement of a combination found.

    Attributes:
        worker: Microseconds of the workers' CPU for a delivery.
        redis: Microseconds of the servers' CPU for a publication.
        whole: Microseconds of workers, servers and publisher for a publication.
        p95: Of delays, in seconds; infinite: there was none.
        counts: What did not arrive as promised.
    """

    worker: float
    redis: float
    whole: float
    p95: float
    counts: DeliveryCounts


class MatrixScenario(LoopbackScenario):
    """Starts deployments on loopback, one after the other, with the same load."""

    help = "Make deployments here of 1 to 5 workers, 1 to 64 shards, 1 to 4 Redis, and compare."

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Take which combinations, and the load."""
        for name, most, default in (
            ("workers", "with 32 shards and one Redis", [1, 2, 3, 4, 5]),
            ("shards", "with two workers", [1, 4, 8, 16, 32, 64]),
            ("redis", "of each number of shards", [1, 2, 4]),
        ):
            shown = " ".join(map(str, default))
            parser.add_argument(
                f"--{name}",
                type=count,
                nargs="+",
                default=default,
                help=f"Numbers of {name}, {most} (default {shown}).",
            )
        parser.add_argument("--clients", type=count, default=200, help="Clients (default 200).")
        parser.add_argument("--rooms", type=count, default=100, help="Rooms (default 100).")
        parser.add_argument(
            "--rate", type=share, default=500, help="Publications a second (default 500)."
        )
        parser.add_argument(
            "--seconds", type=share, default=4, help="Seconds of a measurement (default 4)."
        )
        parser.add_argument(
            "--rounds", type=count, default=3, help="Measurements of a combination (default 3)."
        )
        add_warm_up(parser)
        parser.add_argument("--redis-server", metavar="PROGRAM", help="The server to start.")
        parser.add_argument(
            "--max-default-cost",
            type=share,
            metavar="RATIO",
            help="CPU of a publication with 32 shards, divided by that with the best number.",
        )

    async def run(self, options: SessionOptions, view: LoadView, report: LoadReport) -> None:
        """Measure each combination, and say which to choose."""
        cells = self._cells()
        program = redis_program(self.options["redis_server"])
        samples: dict[MatrixCell, list[MatrixSample]] = defaultdict(list)
        for number in range(self.options["rounds"]):
            # Forth and back: a machine's speed drifts.
            for cell in cells if number % 2 == 0 else reversed(cells):
                view.phase(
                    f"Round {number + 1}: {cell.workers} workers, {cell.shards} shards, "
                    f"{cell.servers} Redis."
                )
                samples[cell].append(await self._measure(cell, program, options))
        self._tell(report, cells, samples)

    def _cells(self) -> list[MatrixCell]:
        options = self.options
        by_workers = {MatrixCell(workers, DEFAULT_SHARDS, 1) for workers in options["workers"]}
        by_shards = {
            MatrixCell(2, shards, servers)
            for shards in options["shards"]
            for servers in options["redis"]
            if servers <= shards  # each server has a shard
        }
        return sorted(by_workers | by_shards)

    async def _measure(
        self, cell: MatrixCell, program: str, options: SessionOptions
    ) -> MatrixSample:
        """Make a deployment, connect, warm up, publish, and throw it away."""
        house = LoopbackHouse(
            workers=cell.workers, shards=cell.shards, servers=cell.servers, redis=program
        )
        async with loopback_session(house, options, QuietView()) as session:
            return await self._load(session, house)

    async def _load(self, session: LoadSession, house: LoopbackHouse) -> MatrixSample:
        options = self.options
        rooms, rate, clients = options["rooms"], options["rate"], options["clients"]
        await session.prepare(rooms)
        people = spread_crowd(options)
        if await session.open(people) < clients:
            raise LoadFailed("Not all clients got in.")
        await session.begin()
        await session.publish(
            rate=rate, count=max(rooms, round(rate * options["warm_up"])), size=250
        )
        await session.finish(patience=_PATIENCE)
        before, numbered = house.cpu(), sum(session.published.values())
        delivered, ours = session.figures.deliveries, session.publisher_cpu()
        session.figures.begin_step()
        await session.publish(rate=rate, count=max(1, round(rate * options["seconds"])), size=250)
        finish = await session.finish(patience=_PATIENCE)
        after = house.cpu()
        publications = sum(session.published.values()) - numbered
        deliveries = session.figures.deliveries - delivered
        counts = DeliveryCounts.of(session, missing=finish.missing)
        p95 = session.figures.step.percentile(95)
        workers, redis = after[0] - before[0], after[1] - before[1]
        whole = workers + redis + session.publisher_cpu() - ours
        return MatrixSample(
            worker=workers / max(1, deliveries) * 1e6,
            redis=redis / publications * 1e6,
            whole=whole / publications * 1e6,
            p95=math.inf if p95 is None else p95,
            # Of all, with those before the measurement; but there must be some in it.
            counts=replace(counts, judged=deliveries + finish.missing),
        )

    def _tell(
        self,
        report: LoadReport,
        cells: list[MatrixCell],
        samples: dict[MatrixCell, list[MatrixSample]],
    ) -> None:
        def middle(cell: MatrixCell, name: str) -> float:
            values: list[float] = [getattr(sample, name) for sample in samples[cell]]
            return median(values)

        def spread(cell: MatrixCell, name: str) -> str:
            values = [getattr(sample, name) for sample in samples[cell]]
            return f"{median(values):,.1f} ({min(values):,.1f} … {max(values):,.1f})"

        counts = [sample.counts for each in samples.values() for sample in each]
        check_counts(report, reduce(add, counts))
        report.tables.append(
            ReportTable(
                title="Median of the rounds (smallest … largest)",
                head=(
                    *("workers", "shards", "Redis", "workers µs/delivery", "Redis µs/publication"),
                    *("all µs/publication", "p95 ms"),
                ),
                rows=[
                    (
                        *map(str, (cell.workers, cell.shards, cell.servers)),
                        *(spread(cell, name) for name in ("worker", "redis", "whole")),
                        in_ms(middle(cell, "p95")),
                    )
                    for cell in cells
                ],
            )
        )
        self._tell_shards(report, samples)
        by_workers = [cell for cell in cells if cell.shards == DEFAULT_SHARDS and cell.servers == 1]
        if len(by_workers) > 1:
            best = min(by_workers, key=lambda cell: middle(cell, "p95"))
            enough = next(
                cell for cell in by_workers if middle(cell, "p95") <= 1.2 * middle(best, "p95")
            )
            report.findings.append(
                f"Workers: {enough.workers} for this load on this machine. p95 is within 1.2 times "
                f"the best ({in_ms(middle(best, 'p95'))} ms with {best.workers})."
            )
            for title, name, factor in (
                ("p95 by workers, ms", "p95", 1e3),
                ("CPU by workers, µs/publication", "whole", 1.0),
            ):
                line = [(float(cell.workers), middle(cell, name) * factor) for cell in by_workers]
                report.plots.append(ReportPlot(title=title, across="workers", lines={name: line}))
        report.figures["cells"] = [
            {
                "workers": cell.workers,
                "shards": cell.shards,
                "redis": cell.servers,
                **{name: middle(cell, name) for name in ("worker", "whole", "p95")},
                "redis_cpu": middle(cell, "redis"),
            }
            for cell in cells
        ]

    def _tell_shards(
        self, report: LoadReport, samples: dict[MatrixCell, list[MatrixSample]]
    ) -> None:
        """Compare numbers of shards within rounds: a ratio is of two that ran near each other."""
        lines: dict[str, list[tuple[float, float | None]]] = {}
        worst = None
        for servers in self.options["redis"]:
            cells = [
                MatrixCell(2, shards, servers)
                for shards in sorted(self.options["shards"])
                if servers <= shards
            ]
            if not cells:
                continue
            middles = {cell: median(sample.whole for sample in samples[cell]) for cell in cells}
            lines[f"{servers} Redis"] = [(float(cell.shards), middles[cell]) for cell in cells]
            default = MatrixCell(2, DEFAULT_SHARDS, servers)
            best = min(cells, key=lambda cell: middles[cell])
            if default not in middles:
                continue
            ratio = median(
                mine.whole / other.whole
                for mine, other in zip(samples[default], samples[best], strict=True)
            )
            worst = ratio if worst is None else max(worst, ratio)
            report.findings.append(
                f"Shards with {servers} Redis: {best.shards} cost least; the default of "
                f"{DEFAULT_SHARDS} costs {ratio:.2f} times that."
            )
        report.plots.append(
            ReportPlot(title="CPU by shards, µs/publication", across="shards", lines=lines)
        )
        report.figures["default_cost"] = worst
        limit = self.options["max_default_cost"]
        if limit is not None:
            report.checks.append(LoadCheck(name="32 shards, by the best", limit=limit, found=worst))
