"""The task that tells all machines of this process, every few seconds.

It never harms the process: a Redis that is away is waited for shortly, and told again next time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from realtime.conf import conf
from realtime.metrics.metric_sources import Process, Sources
from realtime.nodes.node_report import NodeIdentity, compose, totals_of
from realtime.nodes.readings import NodeReading
from realtime.nodes.report_counters import counters
from shardlayer import Tasks, Throttle, new_process

logger = logging.getLogger(__name__)

LEASE_INTERVALS = 3  # for which a report counts, so that one that fails hides nobody
MOMENT = 0.2  # seconds from what changes to the report of it
MINUTE = 60.0  # seconds over which percentiles are told


class Reporter:
    """Tells of one process, from `start` to `aclose`. Bound to the event loop of its layer.

    Args:
        process: What there is to tell of it.
        interval: Seconds between two reports; 0: none is made.
        within: Seconds that a server may take.

    Attributes:
        id: Names the process: of a worker, its node's id.
    """

    def __init__(self, process: Process, *, interval: float, within: float) -> None:
        node, worker = process.node, process.worker
        self.id = new_process() if node is None else str(node.id)
        self._process = process
        self._interval = interval
        self._within = within
        self._identity = NodeIdentity(
            id=self.id,
            role=process.role,
            interval=interval,
            lease_ttl=None if node is None else process.layer.options.lease_ttl,
            can_drain=node is not None and worker is not None,
        )
        self._readings: deque[NodeReading] = deque()
        self._tasks: Tasks | None = None
        self._complaint = Throttle()

    def start(self) -> None:
        """Begin, unless the interval is 0."""
        if self._interval:
            self._tasks = self._process.layer.branch_tasks()
            self._tasks.repeat(
                self.report, "realtime: tell of this process", pause=lambda: self._interval, first=0
            )

    def report_soon(self) -> None:
        """Tell once more in a moment, since something has just changed."""
        if self._tasks is not None:
            self._tasks.spawn(self._report_in_a_moment(), "report this process soon")

    async def _report_in_a_moment(self) -> None:
        await asyncio.sleep(MOMENT)
        await self.report()

    async def report(self) -> None:
        """Tell once."""
        process = self._process
        sources = Sources(process)
        now = NodeReading.of(process, sources)
        readings = self._readings
        while readings and readings[0].at < now.at - MINUTE:
            readings.popleft()
        before = readings[-1] if readings else None
        body = compose(
            self._identity,
            process,
            sources,
            now=now,
            before=before,
            minute_ago=readings[0] if readings else None,
        )
        silent = await process.layer.report_process(
            self.id,
            body,
            ttl=self._interval * LEASE_INTERVALS,
            totals=totals_of(sources, now, before),
            within=self._within,
        )
        readings.append(now)
        if silent:
            counters.missed += 1
        else:
            counters.taken += 1
        if silent and self._complaint.is_due():
            said = "; ".join(f"{server}: {why}" for server, why in silent.items())
            logger.info("What is told of this process was not taken by %s", said)

    async def aclose(self) -> None:
        """End, and have it forgotten, as far as the servers answer in time."""
        if self._tasks is not None:
            await self._tasks.aclose()
            self._tasks = None
            await self._process.layer.forget_process(self.id, within=self._within)


_current: Reporter | None = None


def start_reports(process: Process) -> Reporter:
    """Begin to tell of this process, from its event loop, if the settings say so."""
    global _current  # one for a process
    settings = conf()
    _current = Reporter(process, interval=settings.node_interval, within=settings.check_timeout)
    _current.start()
    return _current


async def stop_reports() -> None:
    """End, if it has begun; before the layer is closed."""
    global _current
    reporter, _current = _current, None
    if reporter is not None:
        await reporter.aclose()
