"""Looking at the shards: what servers, rooms and histories there are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from shardlayer.aio.loop_delay import stall_tolerant_timeout
from shardlayer.aio.tasks import Tasks
from shardlayer.broker.values import PAGE_BYTES
from shardlayer.core.exceptions import ShardLayerError, ShardUnavailable
from shardlayer.core.options import LayerOptions
from shardlayer.core.reserved_rooms import reserved_rooms
from shardlayer.core.sharding import by_shard
from shardlayer.core.types import (
    BEGINNING,
    HistoryPage,
    Position,
    Publication,
    RoomInfo,
    RoomSummary,
)
from shardlayer.layer.engine import Engine
from shardlayer.layer.engines import Engines
from shardlayer.layer.layer_counters import ShardCounters
from shardlayer.layer.layer_histograms import LayerHistograms

HISTORY_LIMIT = 1_000  # publications that one call of `history` returns, at most
PING_TIMEOUT = 1.0  # seconds
SURVEY_ROOMS = 200  # rooms of one call


class LayerInspection:
    """Reads what the shards hold, from any event loop and thread of the process."""

    options: LayerOptions
    shard_of: Callable[[str], int]
    require_valid_group_name: Callable[[str], bool]  # of Channels; raises TypeError
    _engines: Engines

    def servers(self) -> list[str]:
        """Return the addresses of the Redis servers, without passwords."""
        return [host.address for host in self.options.hosts]

    async def ping(self, within: float = PING_TIMEOUT) -> dict[str, float | ShardUnavailable]:
        """Return for each server how many seconds it took to answer, or why it did not.

        One that takes more than `within` seconds did not. Time in which this process stands still
        does not count: see `stall_tolerant_timeout`.
        """

        async def one(engine: Engine, server: int, address: str) -> float | ShardUnavailable:
            try:
                async with stall_tolerant_timeout(within):
                    return await engine.backend.ping(server)
            except ShardUnavailable as error:
                return error
            except TimeoutError:
                reason = f"no answer within {within:g} s"
                return ShardUnavailable(shard=server, server=address, reason=reason)

        async def work(engine: Engine) -> dict[str, float | ShardUnavailable]:
            servers = engine.backend.servers
            answers = await asyncio.gather(
                *(one(engine, index, address) for index, address in enumerate(servers))
            )
            return dict(zip(servers, answers, strict=True))

        return await self._engines.run(work)

    async def scan_rooms(
        self, server: int, cursor: int = 0, count: int = 100
    ) -> tuple[int, list[RoomInfo]]:
        """Return the next cursor and some rooms of a server; begins and ends with cursor 0.

        About `count` keys are looked at. A room may come twice; a reserved one does not come.

        Raises:
            ShardUnavailable: If the server can't be reached.
        """

        async def work(engine: Engine) -> tuple[int, list[RoomInfo]]:
            next_cursor, found_names = await engine.backend.scan(server, cursor, count)
            names = [name for name in found_names if name not in reserved_rooms()]
            parts = by_shard(names, self.options.shards).items()
            found = await asyncio.gather(
                *(engine.backend.info(shard, groups) for shard, groups in parts)
            )
            rooms = {room.room: room for rooms in found for room in rooms}
            return next_cursor, [rooms[name] for name in names]

        return await self._engines.run(work)

    async def room_names(
        self, server: int, cursor: int = 0, count: int = 1_000, *, within: float | None = None
    ) -> tuple[int, list[str]]:
        """Do what `scan_rooms` does, for the names alone: one call to the server.

        Raises:
            ShardUnavailable: If the server can't be reached.
            TimeoutError: If it does not answer within so many seconds.
        """

        async def work(engine: Engine) -> tuple[int, list[str]]:
            async with stall_tolerant_timeout(within):
                return await engine.backend.scan(server, cursor, count)

        next_cursor, names = await self._engines.run(work)
        return next_cursor, [name for name in names if name not in reserved_rooms()]

    async def survey(
        self, rooms: Sequence[str], *, within: float = PING_TIMEOUT
    ) -> dict[str, RoomSummary | ShardLayerError]:
        """Return a summary of each of many rooms, or why it is not known.

        A call asks for `SURVEY_ROOMS` rooms of a shard at most, some 2 ms of Redis. All calls are
        made at the same time; one that takes more than `within` seconds is given up, as in `ping`.
        """
        parts = [
            (shard, names[at : at + SURVEY_ROOMS])
            for shard, names in by_shard(rooms, self.options.shards).items()
            for at in range(0, len(names), SURVEY_ROOMS)
        ]

        async def one(
            engine: Engine, shard: int, names: Sequence[str]
        ) -> list[RoomSummary] | ShardLayerError:
            try:
                async with stall_tolerant_timeout(within):
                    return await engine.backend.survey(shard, names)
            except ShardLayerError as error:
                return error
            except TimeoutError:
                return engine.backend.unavailable(shard, f"no answer within {within:g} s")

        async def work(engine: Engine) -> list[list[RoomSummary] | ShardLayerError]:
            return await asyncio.gather(*(one(engine, shard, names) for shard, names in parts))

        found: dict[str, RoomSummary | ShardLayerError] = {}
        for (_, names), answer in zip(parts, await self._engines.run(work), strict=True):
            if isinstance(answer, ShardLayerError):
                found |= dict.fromkeys(names, answer)
            else:
                found |= zip(names, answer, strict=True)
        return found

    async def room_info(self, room: str) -> RoomInfo:
        """Return what Redis knows of a room; zeros if there is none of that name."""
        self.require_valid_group_name(room)
        shard = self.shard_of(room)
        found = await self._engines.run(lambda engine: engine.backend.info(shard, [room]))
        return found[0]

    async def clear_history(self, room: str) -> None:
        """Forget what was published to a room. Offsets go on; who comes back is told of a gap.

        Raises:
            ValueError: The broker can't do that.
            ShardUnavailable: The room's server did not answer; it may or may not be done.
        """
        self.require_valid_group_name(room)
        shard = self.shard_of(room)
        if not await self._engines.run(lambda engine: engine.backend.clear_history(shard, room)):
            raise ValueError("This broker can't clear a history.")

    async def position(self, room: str, *, within: float = 0.0) -> Position | None:
        """Return where a room is: what is published from now on comes after it.

        `BEGINNING` if nothing was published yet, None if the room keeps no history.

        Raises:
            ShardUnavailable: If the room's server did not answer within so many seconds; 0: within
                the layer's `publish_timeout`.
        """
        self.require_valid_group_name(room)
        if not self.options.policy_of(room).keeps:
            return None
        shard = self.shard_of(room)

        async def work(engine: Engine) -> Position | None:
            try:
                async with stall_tolerant_timeout(within or None):
                    return (await engine.backend.positions(shard, [room]))[0]
            except TimeoutError:
                reason = f"no answer within {within:g} s"
                raise engine.backend.unavailable(shard, reason) from None

        return await self._engines.run(work) or BEGINNING

    async def history(self, room: str, limit: int = HISTORY_LIMIT) -> list[Publication]:
        """Return a room's newest publications, at most `limit`, oldest first."""
        self.require_valid_group_name(room)
        shard = self.shard_of(room)
        return await self._engines.run(lambda engine: engine.backend.history(shard, room, limit))

    @property
    def failing_tasks(self) -> list[str]:
        """The names of this process's tasks that failed and are not yet known to work again.

        Each is tried again and again, and logs why on `shardlayer.aio.tasks`. Its work is not done
        meanwhile. Empty: all is well. May be read in any thread.
        """
        return self._engines.failing_tasks

    def branch_tasks(self) -> Tasks:
        """Return tasks of a part of the program, on the running loop, for `failing_tasks`.

        The loop sends over connections of its own from now on (see `use_running_loop`). The part
        closes its tasks before the layer is closed.
        """
        return self._engines.own().tasks.branch()

    async def history_page(
        self, room: str, limit: int = HISTORY_LIMIT, *, before: int = 0, max_bytes: int = PAGE_BYTES
    ) -> HistoryPage:
        """Return a room's newest publications, or the newest before an offset, and where it is.

        At most `limit` publications and `max_bytes`; one that is larger comes alone. To get older
        ones, ask again with `before` set to the offset of the first.

        Raises:
            ShardUnavailable: If the room's server can't be reached.
        """
        self.require_valid_group_name(room)
        shard = self.shard_of(room)
        return await self._engines.run(
            lambda engine: engine.backend.page(
                shard, room, limit, before=before, max_bytes=max_bytes
            )
        )

    @property
    def unheard_servers(self) -> list[str]:
        """The addresses of servers whose shards this process listens to and can't hear now.

        What is published there reaches none of this process's members until the server is heard
        again. The process keeps trying. A node that has just begun hears none yet. May be read in
        any thread.
        """
        return self._engines.unheard_servers

    def histograms(self) -> LayerHistograms:
        """Return what this process measured since it started. From any thread."""
        return self._engines.histograms()

    def shard_counters(self) -> list[ShardCounters]:
        """Return what this process counted of each shard since it started. From any thread.

        In the shards' order. Nothing where the process has no node.
        """
        return self._engines.shard_counters()

    def stats(self) -> Mapping[str, int]:
        """Return counts of this process since it started (see docs/operate.md)."""
        return self._engines.stats()
