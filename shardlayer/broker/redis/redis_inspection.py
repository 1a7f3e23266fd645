"""Looking at what is kept on Redis, and clearing it: a `RedisBackend`'s role `Inspection`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import repeat

from shardlayer.broker.interface import NO_TOTALS, Inspection
from shardlayer.broker.process_reports import (
    ProcessReport,
    ProcessReports,
    ServerMemory,
    require_report,
)
from shardlayer.broker.redis import calls, report_scripts, survey_scripts
from shardlayer.broker.redis.keys import (
    CHANNEL_MARK,
    group_pattern,
    layout_tag,
    outlives_flush,
    parse_group_key,
    scan_pattern,
    tag_of,
)
from shardlayer.broker.redis.shard_calls import ShardCalls
from shardlayer.core import wire
from shardlayer.core.types import RoomInfo, RoomSummary

FLUSH_COUNT = 1_000  # keys that one SCAN of a flush looks at
REPORTS_READ = 100  # reports of processes that one command reads


class RedisInspection(ShardCalls, Inspection):
    """Reads what Redis servers hold."""

    @cached_property
    def _tags(self) -> set[str]:
        """The hash tags of the layer's keys.

        The pattern of a scan finds the keys of longer prefixes, too: `rt.blue` beside `rt`.
        """
        return {layout_tag(self._options.prefix), *(keys.tag for keys in self._keys)}

    async def set_targeted(self, shard: int, percent: int) -> None:
        await self._execute(shard, "SET", self._keys[shard].targeted, percent)

    async def info(self, shard: int, groups: Sequence[str]) -> list[RoomInfo]:
        return await asyncio.gather(*(self._info(shard, group) for group in groups))

    async def _info(self, shard: int, group: str) -> RoomInfo:
        keys = self._keys[shard]
        found, (meta,), length = await asyncio.gather(
            self._execute(shard, "HGETALL", keys.nodes(group)),
            self._execute(shard, "MGET", keys.meta(group)),  # GET refuses another type
            self._execute(shard, "XLEN", keys.history(group)),
        )
        position = calls.read_meta(meta)
        members = {calls.text(name): value for name, value in found.items()}
        return RoomInfo(
            room=group,
            shard=shard,
            nodes={
                name: int(value)
                for name, value in members.items()
                if not name.startswith(CHANNEL_MARK) and value.isdigit()
            },
            offset=position.offset,
            epoch=position.epoch,
            history_length=length,
        )

    async def survey(self, shard: int, groups: Sequence[str]) -> list[RoomSummary]:
        reply = await self._call(shard, survey_scripts.survey(self._keys[shard], groups))
        return survey_scripts.read_survey(groups, reply, shard=shard, options=self._options)

    async def prune(self, shard: int, groups: Sequence[str]) -> int:
        forgotten: int = await self._call(shard, calls.prune(self._keys[shard], groups))
        return forgotten

    async def clear_history(self, shard: int, group: str) -> bool:
        return bool(await self._call(shard, calls.clear(self._keys[shard], group)))

    async def claim_sweep(self, server: int, seconds: float) -> bool:
        address = self._address(server)
        shards = range(len(self._keys))
        shard = next((each for each in shards if self._servers.address_of(each) == address), None)
        if shard is None:  # its slots have just moved
            return False
        key, ttl = self._keys[shard].swept, calls.milliseconds(seconds)
        return bool(await self._execute(shard, "SET", key, "1", "NX", "PX", ttl))

    async def scan(self, server: int, cursor: int, count: int) -> tuple[int, list[str]]:
        scan = ("SCAN", cursor, "MATCH", group_pattern(self._options.prefix), "COUNT", count)
        next_cursor, found = await self._execute_at(server, *scan)
        parsed = (parse_group_key(calls.text(key)) for key in found)
        ours = (key[1] for key in parsed if key is not None and key[0] in self._tags)
        return next_cursor, list(dict.fromkeys(ours))

    async def ping(self, server: int) -> float:
        begun = time.perf_counter()
        await self._execute_at(server, "PING")
        return time.perf_counter() - begun

    async def memory(self, server: int) -> ServerMemory | None:
        info = await self._execute_at(server, "INFO", "memory")
        return ServerMemory(int(info["used_memory"]), int(info.get("maxmemory", 0)))

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
        call = report_scripts.report(self._keys[shard], process, body, ttl=ttl, totals=totals)
        return bool(await self._call(shard, call))

    async def forget_process(self, shard: int, process: str) -> None:
        keys = self._keys[shard]
        # The second is what makes it known: without it, the first is over.
        await self._execute(shard, "ZREM", keys.reported, process)
        await self._execute(shard, "HDEL", keys.reports, process)

    async def process_reports(self, shard: int) -> ProcessReports:
        keys = self._keys[shard]
        reply = await self._call(shard, report_scripts.reports(keys))
        now, names, totals, lost = report_scripts.read_reports(reply)
        found = await self._read_reports(shard, names, now)
        return ProcessReports(now, found, totals, await self._read_reports(shard, lost, now))

    async def _read_reports(
        self, shard: int, names: Sequence[str], now: float
    ) -> list[ProcessReport]:
        found: list[ProcessReport] = []
        for begin in range(0, len(names), REPORTS_READ):
            some = names[begin : begin + REPORTS_READ]
            values = await self._execute(shard, "HMGET", self._keys[shard].reports, *some)
            each = map(report_scripts.read_report, some, values, repeat(now))
            found += [report for report in each if report is not None]
        return found

    async def flush(self, mark: bytes = b"") -> None:
        await self._execute(0, "PING")  # a Cluster learns of its servers with the first command
        pattern = scan_pattern(self._options.prefix)
        for server in range(len(self._servers.addresses)):
            cursor = None
            while cursor != 0:
                scan = ("SCAN", cursor or 0, "MATCH", pattern, "COUNT", FLUSH_COUNT)
                cursor, found = await self._execute_at(server, *scan)
                # One by one: in a Cluster one command can't touch keys of several slots.
                doomed = [key for key in found if self._is_doomed(calls.text(key))]
                await asyncio.gather(*(self._execute_at(server, "UNLINK", key) for key in doomed))
        order = wire.pack_order(wire.Kind.FLUSH, "", mark)
        await asyncio.gather(
            *(
                self._execute(shard, "SPUBLISH", keys.all_nodes, order)
                for shard, keys in enumerate(self._keys)
            )
        )

    def _is_doomed(self, key: str) -> bool:
        return tag_of(key) in self._tags and not outlives_flush(key)
