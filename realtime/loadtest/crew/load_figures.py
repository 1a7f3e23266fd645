"""What all processes of a load test reported, added up."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from realtime.loadtest.crew.load_helper import LoadHelper
from realtime.loadtest.delay_histogram import DelayHistogram

_MOST_FAULTS: Final = 1_000
_BUSY: Final = 0.9  # of a CPU: who uses more may be why everything is late


@dataclass(slots=True)
class PlaceFigures:
    """What the clients of one node got, or all clients of one shard.

    Attributes:
        connected: How many are subscribed now, by process; of nodes only.
        delays: Of all that they got.
        missed: Publications that they missed.
    """

    connected: dict[str, int] = field(default_factory=dict)
    delays: DelayHistogram = field(default_factory=DelayHistogram)
    missed: int = 0

    def take(self, delays: DelayHistogram, missed: int) -> None:
        """Add what came since the report before."""
        self.delays.add(delays)
        self.missed += missed


@dataclass(slots=True)
class ProcessFigures:
    """What one process of the load test uses.

    Attributes:
        name: Of the process.
        cpu: Seconds of CPU so far.
        at: When it said so, by its own clock.
        busy: Share of one CPU since the report before.
        busiest: The largest such share so far.
        busiest_of_step: The largest since the step began.
    """

    name: str
    cpu: float = 0.0
    at: float = 0.0
    busy: float = 0.0
    busiest: float = 0.0
    busiest_of_step: float = 0.0

    def take(self, cpu: float, at: float) -> None:
        """Take what a process told of itself."""
        if self.at and at > self.at:
            self.busy = (cpu - self.cpu) / (at - self.at)
            self.busiest = max(self.busiest, self.busy)
            self.busiest_of_step = max(self.busiest_of_step, self.busy)
        self.cpu, self.at = cpu, at


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSample:
    """A moment of a load test.

    Attributes:
        at: Seconds since its beginning.
        connected: Clients that are subscribed.
        published: Publications a second since the sample before.
        deliveries: Deliveries a second since then.
        p50, p95, p99: Delays of these in seconds; None: there were none.
        missed: Publications that clients have missed so far.
        busiest: The share of a CPU that the busiest process of the load test uses.
    """

    at: float
    connected: int
    published: float
    deliveries: float
    p50: float | None
    p95: float | None
    p99: float | None
    missed: int
    busiest: float


class LoadFigures:
    """Adds up; `sample` is called at intervals.

    Attributes:
        nodes: By node.
        shards: By shard; UNKNOWN, which is -1, where nobody knows the shards.
        processes: By name.
        delays: All delays.
        step: Those since `begin_step`.
        connects: How long clients took until they were subscribed.
        acknowledged: How long publishers waited for their acknowledgements.
        published, failed: Publications that were acknowledged, and that were not.
        samples: So far.
        faults: What was wrong, one by one, the last of them.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, PlaceFigures] = {}
        self.shards: dict[int, PlaceFigures] = {}
        self.processes: dict[str, ProcessFigures] = {}
        self.delays = DelayHistogram()
        self.step = DelayHistogram()
        self.connects = DelayHistogram()
        self.acknowledged = DelayHistogram()
        self.samples: list[LoadSample] = []
        self.faults: deque[dict[str, Any]] = deque(maxlen=_MOST_FAULTS)
        self._last: dict[str, Mapping[str, Any]] = {}
        self._recent = DelayHistogram()
        self._began = self._sampled = time.monotonic()
        self._deliveries = self._published = 0

    def take(self, helper: LoadHelper, report: Mapping[str, Any]) -> None:
        """Take a report of a swarm or a publisher."""
        self._last[helper.name] = report
        process = self.processes.setdefault(helper.name, ProcessFigures(helper.name))
        process.take(report["cpu"], report["at"])
        if "acknowledged" in report:
            self.acknowledged.add(DelayHistogram.from_json(report["acknowledged"]))
            return
        self.connects.add(DelayHistogram.from_json(report["connects"]))
        for name, connected in report["nodes"].items():
            self.nodes.setdefault(name, PlaceFigures()).connected[helper.name] = connected
        for name, shard, told in report["cells"]:
            delays = DelayHistogram.from_json(told["delays"])
            self.nodes.setdefault(name, PlaceFigures()).take(delays, told["missed"])
            self.shards.setdefault(shard, PlaceFigures()).take(delays, told["missed"])
            self.delays.add(delays)
            self.step.add(delays)
            self._recent.add(delays)
        self.faults.extend(report["faults"])

    def total(self, name: str) -> int:
        """Return a figure that processes tell whole, added up."""
        return sum(report.get(name, 0) for report in self._last.values())

    def counted(self, name: str) -> Counter[str]:
        """Return counters that processes tell whole: `counts`, `outcomes` or `losses`."""
        found: Counter[str] = Counter()
        for report in self._last.values():
            found.update(report.get(name, {}))
        return found

    @property
    def connected(self) -> int:
        """Clients that are subscribed."""
        return self.total("connected")

    @property
    def published(self) -> int:
        """Publications that were acknowledged."""
        return self.total("published")

    @property
    def failed(self) -> int:
        """Publications that were not acknowledged."""
        return self.total("failed")

    @property
    def deliveries(self) -> int:
        """Publications that clients got as they were published."""
        return self.delays.total

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def limits(self) -> list[ProcessFigures]:
        """Return the processes of the load test that may have been what was measured."""
        return [each for each in self.processes.values() if each.busiest > _BUSY]

    def forget_connects(self) -> None:
        """Begin to measure anew how long clients take to be subscribed."""
        self.connects = DelayHistogram()

    def begin_step(self) -> None:
        """Begin a step: `step`, and how busy processes are at most, count anew."""
        self.step = DelayHistogram()
        for each in self.processes.values():
            each.busiest_of_step = 0.0

    def busiest(self) -> tuple[float, str]:
        """Return the largest share of a CPU that a process used in this step, and its name."""
        return max(
            ((each.busiest_of_step, each.name) for each in self.processes.values()),
            default=(0.0, "nobody"),
        )

    def sample(self) -> LoadSample:
        """Return what came since the sample before, and keep it."""
        now = time.monotonic()
        passed = max(now - self._sampled, 1e-6)
        published = self.published
        sample = LoadSample(
            at=now - self._began,
            connected=self.connected,
            published=(published - self._published) / passed,
            deliveries=(self.deliveries - self._deliveries) / passed,
            p50=self._recent.percentile(50),
            p95=self._recent.percentile(95),
            p99=self._recent.percentile(99),
            missed=self.counted("counts")["missed"],
            busiest=max((each.busy for each in self.processes.values()), default=0.0),
        )
        self._sampled, self._published, self._deliveries = now, published, self.deliveries
        self._recent = DelayHistogram()
        self.samples.append(sample)
        return sample
