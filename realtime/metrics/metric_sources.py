"""What this process knows of itself, read at one moment."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from realtime.api.api_counters import ApiCounters
from realtime.api.api_counters import counters as api_counters
from realtime.clients.client_counters import ClientCounters
from realtime.clients.client_counters import counters as client_counters
from realtime.live_rooms import PositionCounters
from realtime.live_rooms import counters as position_counters
from realtime.nodes.report_counters import ReportCounters
from realtime.nodes.report_counters import counters as report_counters
from realtime.on_commit import OnCommitCounters
from realtime.on_commit import counters as on_commit_counters
from shardlayer import (
    Histogram,
    LayerHistograms,
    Node,
    ShardCounters,
    ShardedChannelLayer,
    Worker,
    doubling,
)

LOOP_DELAYS = doubling(0.001, 14)  # seconds: 1 ms to 8 s


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionFigures:
    """A partition that this process reads.

    Attributes:
        topic: The topic.
        partition: The number there.
        lag: Records that are not delivered; None: that is not known yet.
        position: The offset of the first of them; None: that is not known yet.
        is_paused: Whether it waits for a destination that does not answer.
    """

    topic: str
    partition: int
    lag: int | None
    position: int | None
    is_paused: bool


class PoolFigures(Protocol):
    """What is asked of a pool of consumers."""

    skipped: Any

    @property
    def records(self) -> int: ...
    @property
    def ages(self) -> Histogram: ...

    @property
    def group(self) -> str: ...
    @property
    def topics(self) -> Sequence[str]: ...
    @property
    def consumers(self) -> int: ...
    @property
    def dead_letters(self) -> Mapping[str, int] | None: ...

    def lag(self) -> int: ...
    def paused(self) -> int: ...
    def partitions(self) -> Sequence[PartitionFigures]: ...


class OutboxFigures(Protocol):
    """What is asked of the outbox's relay."""

    published: int
    put_aside: int


class BalancerFigures(Protocol):
    """What is asked of a balancer."""

    handed_over: int
    taken_back: int
    refused: int
    dropped: int
    accept_errors: int


@dataclass(kw_only=True)
class Measured:
    """A process that has figures.

    Attributes:
        role: What it is: `worker`, `pool`, `outbox`, `balancer`.
        balancer: What it counts as a balancer.
        loop_delays: How late its event loop was, in seconds.
    """

    role: str
    balancer: BalancerFigures | None = None
    loop_delays: Histogram = field(default_factory=lambda: Histogram(LOOP_DELAYS))


@dataclass(kw_only=True)
class Process(Measured):
    """A process with a channel layer; who runs something says so here.

    Attributes:
        layer: Its channel layer.
        node: Its node, if it has members.
        worker: Its server, if it is our own.
        pool: Its pool of Kafka consumers.
        outbox: Its relay of the outbox.
    """

    layer: ShardedChannelLayer
    node: Node | None = None
    worker: Worker | None = None
    pool: PoolFigures | None = None
    outbox: OutboxFigures | None = None


class Sources:
    """The figures of a process at one moment. May be made in any thread."""

    def __init__(self, process: Measured) -> None:
        self.loop_delays = process.loop_delays
        self.balancer = process.balancer
        is_worker = process.role == "worker"
        self.clients: ClientCounters | None = client_counters if is_worker else None
        self.api: ApiCounters | None = api_counters if is_worker else None
        self.worker: Worker | None = None
        self.pool: PoolFigures | None = None
        self.outbox: OutboxFigures | None = None
        self.stats: Mapping[str, int] = {}
        self.shards: Sequence[ShardCounters] = ()
        self.histograms: LayerHistograms | None = None
        self.on_commit: OnCommitCounters | None = None
        self.reports: ReportCounters | None = None
        self.positions: PositionCounters | None = None
        if isinstance(process, Process):
            self._read_layer(process)
        # Only a process of our own server has it; importing it here would install its reactor.
        server = sys.modules.get("shardlayer.server.server_counters")
        self.server: Any = None if server is None else server.counters

    def _read_layer(self, process: Process) -> None:
        self.worker = process.worker
        self.pool = process.pool
        self.outbox = process.outbox
        self.stats = process.layer.stats()
        self.shards = process.layer.shard_counters()
        self.histograms = process.layer.histograms()
        self.on_commit = on_commit_counters
        self.reports = report_counters
        self.positions = position_counters

    def shards_up(self) -> Mapping[str, int] | None:
        """Return for each shard 1 if it is heard, else 0; None where nobody listens."""
        if not self.shards:
            return None
        return {str(n): int(not counters.unheard) for n, counters in enumerate(self.shards)}

    def resident_bytes(self) -> int | None:
        """Return the memory of the process; None where the system does not tell."""
        try:
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            return None

    def cpu_seconds(self) -> float:
        """Return the CPU that the process has used."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime
