"""`capacity`: more and more publications, until a limit is not kept; how many, and why no more."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Final

from realtime.loadtest.load_session import SETTLES, LoadSession
from realtime.loadtest.metrics_reading import MetricsReading
from realtime.loadtest.process_look import machine_ticks
from realtime.loadtest.reporting.live_view import in_ms
from realtime.loadtest.reporting.load_report import (
    LoadCheck,
    LoadReport,
    ReportPlot,
    ReportTable,
)
from realtime.loadtest.scenarios.crowd import connect_crowd, spread_crowd
from realtime.loadtest.scenarios.delivery_counts import DeliveryCounts
from realtime.loadtest.scenarios.load_arguments import (
    add_connect_limits,
    add_crowd,
    check_counts,
    share,
)
from realtime.loadtest.scenarios.load_scenario import LoadScenario
from realtime.management.arguments import count

_BUSY: Final = 0.85  # of a CPU: who uses more is taken for what is full
_LATE: Final = 0.5  # seconds by which the publisher may be late


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityStep:
    """What came of one rate.

    Attributes:
        rate: Publications a second that were asked for.
        deliveries: Deliveries a second.
        p95: Of their delays in seconds; None: there was none.
        counts: What did not arrive as promised, within the step's patience.
        late: Seconds by which the publisher was late.
        workers: Share of a CPU that each process of the deployment used, by role and number.
        machine: Share of all CPUs of this machine that was used, by whomever.
        ours: Share of a CPU of the busiest process of the load test, and which one it is.
    """

    rate: float
    deliveries: float
    p95: float | None
    counts: DeliveryCounts
    late: float
    workers: dict[str, float]
    machine: float
    ours: tuple[float, str]


class CapacityScenario(LoadScenario):
    """Raises the rate step by step."""

    help = "Publish more and more until a limit is not kept: how much works, and why not more."

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Take the crowd and the steps."""
        add_crowd(parser, clients=500, rooms=10)
        parser.add_argument(
            "--from-rate",
            type=share,
            default=50,
            help="Publications a second of the first step (default 50).",
        )
        parser.add_argument(
            "--factor",
            type=share,
            default=1.5,
            help="The rate of a step, divided by that of the step before (default 1.5).",
        )
        parser.add_argument("--steps", type=count, default=15, help="Steps at most (default 15).")
        parser.add_argument(
            "--step-seconds", type=share, default=5, help="Seconds of a step (default 5)."
        )
        parser.add_argument(
            "--size", type=count, default=250, help="Bytes of a publication's data (default 250)."
        )
        add_connect_limits(parser)
        parser.add_argument(
            "--max-p95",
            type=share,
            default=200,
            metavar="MS",
            help="Milliseconds from publishing to the client, p95 of a step (default 200).",
        )
        parser.add_argument(
            "--min-deliveries",
            type=share,
            metavar="A_SECOND",
            help="Deliveries a second that must be reached.",
        )

    async def run(self, session: LoadSession, report: LoadReport) -> None:
        """Connect, then publish faster and faster."""
        options = self.options
        await session.prepare(options["rooms"])
        people = spread_crowd(options)
        if not await connect_crowd(session, options, report, people):
            return
        good: CapacityStep | None = None
        steps: list[CapacityStep] = []
        rate, why = options["from_rate"], f"it was not reached in {options['steps']} steps"
        for _ in range(options["steps"]):
            session.view.phase(
                f"{rate:,.0f} publications a second, for {options['step_seconds']:g} s."
            )
            step = await self._step(session, rate)
            steps.append(step)
            if broken := self._broken(step):
                why = f"{broken}; {self._who_is_full(step)}"
                break
            good = step
            rate *= options["factor"]
        self._tell(report, steps, good, why)

    async def _step(self, session: LoadSession, rate: float) -> CapacityStep:
        seconds = self.options["step_seconds"]
        before = await session.metrics()
        busy, ticks = machine_ticks()
        earlier = DeliveryCounts.of(session, missing=0)
        session.figures.begin_step()
        session.latest = 0.0
        began = time.monotonic()
        await session.publish(
            rate=rate, count=max(1, round(rate * seconds)), size=self.options["size"]
        )
        finish = await session.finish(patience=max(2.0, seconds))
        passed = time.monotonic() - began
        grown = (await session.metrics()).since(before)
        busy_now, ticks_now = machine_ticks()
        delays = session.figures.step
        return CapacityStep(
            rate=rate,
            deliveries=delays.total / max(seconds, session.latest + seconds),
            p95=delays.percentile(95),
            counts=DeliveryCounts.of(session, missing=finish.missing) - earlier,
            late=session.latest,
            workers=_cpu(grown, seconds=max(seconds, passed - SETTLES)),
            machine=(busy_now - busy) / max(1, ticks_now - ticks),
            ours=session.figures.busiest(),
        )

    def _broken(self, step: CapacityStep) -> str:
        """Return which limit a step does not keep; empty: none."""
        for what, found in (
            ("missing", step.counts.lost),
            ("doubled, out of order or of another room", step.counts.wrong),
            ("not taken", step.counts.failed),
        ):
            if found:
                return f"{found:,} publications were {what}"
        if step.late > _LATE:
            return f"the publisher was {step.late:.1f} s late"
        if step.p95 is None or step.p95 * 1e3 > self.options["max_p95"]:
            return f"p95 was {in_ms(step.p95)} ms"
        return ""

    @staticmethod
    def _who_is_full(step: CapacityStep) -> str:
        """Return which process is taken for the reason."""
        share_of_ours, name = step.ours
        if share_of_ours > _BUSY:
            return (
                f"{name} of the load test itself used {share_of_ours:.0%} of a CPU, so the "
                "deployment may take more: use --processes or --agents"
            )
        full = [f"{who} used {used:.0%}" for who, used in step.workers.items() if used > _BUSY]
        if full:
            return f"{', '.join(full)} of a CPU"
        if step.machine > _BUSY:
            return (
                f"{step.machine:.0%} of this machine's CPUs was used, by the load test, the "
                "deployment if it is here, and others"
            )
        return (
            "no worker used a whole CPU, nor did the load test: look at Redis, the network and "
            "what else runs on the machines"
        )

    def _tell(
        self, report: LoadReport, steps: list[CapacityStep], good: CapacityStep | None, why: str
    ) -> None:
        reached = "nothing" if good is None else f"{good.rate:,.0f} publications/s"
        deliveries = 0.0 if good is None else good.deliveries
        report.facts += [
            ("Kept up to", f"{reached}, {deliveries:,.0f} deliveries/s"),
            ("Why no more", why),
        ]
        report.tables.append(
            ReportTable(
                title="Steps",
                head=(
                    *("publications/s", "deliveries/s", "p95 ms", "missing", "wrong", "failed"),
                    *("late s", "full"),
                ),
                rows=[
                    (
                        f"{step.rate:,.0f}",
                        f"{step.deliveries:,.0f}",
                        in_ms(step.p95),
                        f"{step.counts.lost:,}",
                        f"{step.counts.wrong:,}",
                        f"{step.counts.failed:,}",
                        f"{step.late:.2f}",
                        ", ".join(
                            f"{who} {used:.0%}"
                            for who, used in {**step.workers, step.ours[1]: step.ours[0]}.items()
                        ),
                    )
                    for step in steps
                ],
            )
        )
        report.plots += [
            ReportPlot(
                title="p95 by rate, ms",
                across="publications/s",
                lines={
                    "p95": [(s.rate, None if s.p95 is None else s.p95 * 1e3) for s in steps],
                    "limit": [(step.rate, self.options["max_p95"]) for step in steps],
                },
            ),
            ReportPlot(
                title="CPU by rate, % of one",
                across="publications/s",
                lines={
                    **{
                        who: [(step.rate, 100 * step.workers.get(who, 0.0)) for step in steps]
                        for who in steps[-1].workers
                    },
                    "load test": [(step.rate, 100 * step.ours[0]) for step in steps],
                },
            ),
        ]
        # What is lost or not taken ends a step: no deployment promises it at every rate.
        check_counts(report, reduce(add, (s.counts for s in steps)), lost=None, failed=None)
        limit = self.options["min_deliveries"]
        if limit is not None:
            report.checks.append(
                LoadCheck(name="deliveries a second", limit=limit, found=deliveries, at_least=True)
            )
        report.figures |= {
            "publications_a_second": 0.0 if good is None else good.rate,
            "deliveries_a_second": deliveries,
            "why": why,
        }


def _cpu(grown: MetricsReading, *, seconds: float) -> dict[str, float]:
    return {
        f"{role} {number}": used / seconds
        for (role, number), used in sorted(
            grown.by("process_cpu_seconds_total", "role", "worker").items()
        )
    }
