"""Looking at what is kept in this process, and clearing it: a `MemoryBackend`'s `Inspection`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shardlayer.broker.interface import NO_TOTALS, Inspection
from shardlayer.broker.memory.memory_shards import MemoryShards
from shardlayer.broker.memory.store import Group, KeptReport, Shard
from shardlayer.broker.process_reports import (
    MAX_REPORTS,
    TOTALS_STEP,
    TOTALS_STEPS,
    ProcessReport,
    ProcessReports,
    require_report,
)
from shardlayer.core import wire
from shardlayer.core.types import RoomInfo, RoomSummary


class MemoryInspection(MemoryShards, Inspection):
    """Reads what this process holds."""

    async def set_targeted(self, shard: int, percent: int) -> None:
        with self._server.lock:
            self._shard(shard).targeted = percent

    async def info(self, shard: int, groups: Sequence[str]) -> list[RoomInfo]:
        with self._server.lock:
            now = self._server.clock()
            return [self._info(shard, name, self._shard(shard).group(name, now)) for name in groups]

    @staticmethod
    def _info(shard: int, name: str, group: Group) -> RoomInfo:
        return RoomInfo(
            room=name,
            shard=shard,
            nodes={str(node): members for node, members in group.nodes.items()},
            offset=group.offset,
            epoch=group.epoch,
            history_length=len(group.history),
        )

    async def survey(self, shard: int, groups: Sequence[str]) -> list[RoomSummary]:
        with self._server.lock:
            state, now = self._shard(shard), self._server.clock()
            return [self._summary(shard, name, state, now) for name in groups]

    def _summary(self, shard: int, name: str, state: Shard, now: float) -> RoomSummary:
        group = state.group(name, now)
        alive = {
            node: members
            for node, members in group.nodes.items()
            if state.leases.get(node, 0.0) > now
        }
        ttl = self._options.policy_of(name).ttl
        return RoomSummary(
            room=name,
            shard=shard,
            members=sum(alive.values()),
            nodes=len(alive),
            people=len(state.people.get(name, ())),
            offset=group.offset,
            epoch=group.epoch,
            idle=max(ttl - (group.history_ends - now), 0.0) if group.history else None,
        )

    async def prune(self, shard: int, groups: Sequence[str]) -> int:
        with self._server.lock:
            state, now = self._shard(shard), self._server.clock()
            forgotten = 0
            for name in groups:
                nodes = state.group(name, now).nodes
                gone = [node for node in nodes if state.leases.get(node, 0.0) <= now]
                for node in gone:
                    del nodes[node]
                forgotten += len(gone)
            return forgotten

    async def clear_history(self, shard: int, group: str) -> bool:
        with self._server.lock:
            state = self._shard(shard)
            kept = state.group(group, self._server.clock())
            kept.history.clear()
            kept.newest = None
            order = wire.pack_order(wire.Kind.CLEARED, group, offset=kept.offset, epoch=kept.epoch)
            for node in state.leases:
                self._server.tell(node, shard, order)
        return True

    async def claim_sweep(self, server: int, seconds: float) -> bool:
        with self._server.lock:
            now = self._server.clock()
            if now < self._server.swept_until:
                return False
            self._server.swept_until = now + seconds
            return True

    async def scan(self, server: int, cursor: int, count: int) -> tuple[int, list[str]]:
        with self._server.lock:
            now = self._server.clock()
            names = sorted(
                name
                for shard in range(self._options.shards)
                for name in self._shard(shard).groups
                if self._exists(self._shard(shard).group(name, now))
            )
        end = cursor + count
        return (end if end < len(names) else 0), names[cursor:end]

    @staticmethod
    def _exists(group: Group) -> bool:
        return bool(group.nodes or group.channels or group.epoch)

    async def ping(self, server: int) -> float:
        return 0.0

    async def report_process(
        self,
        shard: int,
        process: str,
        body: bytes,
        *,
        ttl: float,
        totals: Mapping[str, float] = NO_TOTALS,
    ) -> bool:
        require_report(body, totals)
        with self._server.lock:
            state, now = self._shard(shard), self._server.clock()
            reports = state.living_reports(now)
            if process not in reports and len(reports) >= MAX_REPORTS:
                return False
            state.reports[process] = KeptReport(body, came=now, ends=now + ttl)
            if totals:
                state.add_totals(int(now // TOTALS_STEP), totals)
            return True

    async def forget_process(self, shard: int, process: str) -> None:
        with self._server.lock:
            self._shard(shard).reports.pop(process, None)

    async def process_reports(self, shard: int) -> ProcessReports:
        with self._server.lock:
            state, now = self._shard(shard), self._server.clock()
            first = int(now // TOTALS_STEP) - TOTALS_STEPS + 1
            return ProcessReports(
                now,
                [
                    ProcessReport(process, kept.body, now - kept.came)
                    for process, kept in state.living_reports(now).items()
                ],
                {step: dict(sums) for step, sums in state.totals.items() if step >= first},
                [
                    ProcessReport(process, kept.body, now - kept.came)
                    for process, kept in state.lost_reports(now).items()
                ],
            )

    async def flush(self, mark: bytes = b"") -> None:
        order = wire.pack_order(wire.Kind.FLUSH, "", mark)
        with self._server.lock:
            for shard in range(self._options.shards):
                state = self._shard(shard)
                kept_in = (
                    *(state.groups, state.queues, state.waiting, state.held, state.once),
                    *(state.rosters, state.people, state.answers, state.orders),
                )
                for kept in kept_in:
                    kept.clear()
                for node in state.leases:
                    self._server.tell(node, shard, order)
