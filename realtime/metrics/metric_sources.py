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


@dataclass(kw_only=True)
class Process:
    """What metrics are made of in this process; who runs something says so here.

    Attributes:
        role: What the process is: `worker`, `pool`, `outbox`.
        layer: Its channel layer.
        node: Its node, if it has members.
        worker: Its server, if it is our own.
        pool: Its pool of Kafka consumers.
        outbox: Its relay of the outbox.
        loop_delays: How late its event loop was, in seconds.
    """

    role: str
    layer: ShardedChannelLayer
    node: Node | None = None
    worker: Worker | None = None
    pool: PoolFigures | None = None
    outbox: OutboxFigures | None = None
    loop_delays: Histogram = field(default_factory=lambda: Histogram(LOOP_DELAYS))


class Sources:
    """The figures of a process at one moment. May be made in any thread."""

    def __init__(self, process: Process) -> None:
        self.worker = process.worker
        self.pool = process.pool
        self.outbox = process.outbox
        self.loop_delays = process.loop_delays
        self.stats: Mapping[str, int] = process.layer.stats()
        self.shards: Sequence[ShardCounters] = process.layer.shard_counters()
        self.histograms: LayerHistograms = process.layer.histograms()
        is_worker = process.role == "worker"
        self.clients: ClientCounters | None = client_counters if is_worker else None
        self.api: ApiCounters | None = api_counters if is_worker else None
        self.on_commit: OnCommitCounters = on_commit_counters
        self.reports: ReportCounters = report_counters
        self.positions: PositionCounters = position_counters
        # Only a process of our own server has it; importing it here would install its reactor.
        server = sys.modules.get("shardlayer.server.server_counters")
        self.server: Any = None if server is None else server.counters

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
