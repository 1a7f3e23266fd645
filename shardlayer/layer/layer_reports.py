"""What the processes of a deployment say of themselves, by way of the shards.

Each report is kept on two servers, if there are two. So if one is away, no process is hidden. All
processes that have the same servers in their settings use the same shards for this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from shardlayer.aio.loop_delay import stall_tolerant_timeout
from shardlayer.broker.interface import NO_TOTALS, Backend
from shardlayer.broker.process_reports import ProcessReport, ProcessReports, ServerMemory
from shardlayer.broker.publisher_histograms import PublisherHistograms
from shardlayer.core.exceptions import ShardLayerError
from shardlayer.layer.engine import Engine
from shardlayer.layer.engines import Engines

COPIES = 2  # servers that keep a report

Result = TypeVar("Result")


class ShardPlace(NamedTuple):
    """Where a shard is.

    Attributes:
        server: The address; empty: that is not known just now.
        bundle: The first shard of those that one call can publish to.
    """

    server: str
    bundle: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownReports:
    """What the servers that answered keep of all processes.

    Attributes:
        now: The clock of one of them, in seconds; 0 if none answered.
        reports: The last of each process.
        totals: See `process_reports.Totals`.
        lost: The last of each process that said nothing more, and did not say that it ends.
        silent: Those that did not answer, and why.
        asked: How many were asked.
        is_kept: Whether this broker keeps reports at all.
    """

    now: float
    reports: Sequence[ProcessReport]
    totals: Mapping[int, Mapping[str, float]]
    silent: Mapping[str, str]
    asked: int
    is_kept: bool
    lost: Sequence[ProcessReport] = ()

    @property
    def is_known(self) -> bool:
        """Whether any server said what it keeps."""
        return self.is_kept and len(self.silent) < self.asked


class LayerReports:
    """Files and reads reports, from any event loop and thread of the process."""

    _engines: Engines

    async def report_process(
        self,
        process: str,
        body: bytes,
        *,
        ttl: float,
        totals: Mapping[str, float] = NO_TOTALS,
        within: float,
    ) -> dict[str, str]:
        """Say something of this process; return the servers that did not take it, and why.

        What was said before is replaced; after `ttl` seconds it is forgotten. No server is waited
        for longer than `within` seconds, but for those in which this process stood still.

        Raises:
            ValueError: The report is too large (see process_reports.py).
        """

        async def file(backend: Backend, shard: int) -> bool:
            return await backend.report_process(shard, process, body, ttl=ttl, totals=totals)

        answers = await self._engines.run(lambda engine: _ask_keepers(engine, file, within))
        silent = {server: answer for server, answer in answers.items() if isinstance(answer, str)}
        full = [server for server, is_taken in answers.items() if is_taken is False]
        return silent | dict.fromkeys(full, "it keeps too many reports")

    async def forget_process(self, process: str, *, within: float) -> None:
        """Forget what was said of this process, as far as the servers can be reached."""

        async def forget(backend: Backend, shard: int) -> None:
            await backend.forget_process(shard, process)

        await self._engines.run(lambda engine: _ask_keepers(engine, forget, within))

    async def process_reports(self, *, within: float) -> KnownReports:
        """Return what all processes said last; no server is waited for longer than `within`."""

        async def read(backend: Backend, shard: int) -> ProcessReports | None:
            return await backend.process_reports(shard)

        answers = await self._engines.run(lambda engine: _ask_keepers(engine, read, within))
        known = [answer for answer in answers.values() if isinstance(answer, ProcessReports)]
        newest: dict[str, ProcessReport] = {}
        lost: dict[str, ProcessReport] = {}
        totals: dict[int, dict[str, float]] = {}
        for kept in known:
            _take_newest(newest, kept.reports)
            _take_newest(lost, kept.lost)
            for step, sums in kept.totals.items():
                # A server that was away for a while lacks some.
                most = totals.setdefault(step, {})
                for name, amount in sums.items():
                    most[name] = max(most.get(name, 0.0), amount)
        return KnownReports(
            now=max((kept.now for kept in known), default=0.0),
            reports=[*newest.values()],
            totals=totals,
            silent={server: text for server, text in answers.items() if isinstance(text, str)},
            asked=len(answers),
            is_kept=bool(known) or any(isinstance(text, str) for text in answers.values()),
            lost=[report for process, report in lost.items() if process not in newest],
        )

    async def server_memory(self, *, within: float) -> dict[str, ServerMemory | None]:
        """Return what each server's data take; None of one that does not say so in time."""

        async def one(engine: Engine, server: int) -> ServerMemory | None:
            try:
                async with stall_tolerant_timeout(within):
                    return await engine.backend.memory(server)
            except (ShardLayerError, TimeoutError):
                return None

        async def work(engine: Engine) -> dict[str, ServerMemory | None]:
            servers = [*engine.backend.servers]
            found = await asyncio.gather(*(one(engine, server) for server in range(len(servers))))
            return dict(zip(servers, found, strict=True))

        return await self._engines.run(work)

    async def shard_places(self) -> list[ShardPlace]:
        """Return where each shard is, in the shards' order."""

        async def work(engine: Engine) -> list[ShardPlace]:
            servers = enumerate(_servers_of_shards(engine))
            bundle_of = engine.backend.bundle_of
            return [ShardPlace(server, bundle_of(shard)) for shard, server in servers]

        return await self._engines.run(work)

    def published_by_shard(self) -> list[int]:
        """Return how many publications each shard acknowledged to this process. Any thread.

        In the shards' order; empty where nothing was published.
        """
        return self._engines.published()

    def bundle_histograms(self) -> Mapping[int, PublisherHistograms]:
        """Return what this process measured of publishing, by the first shard of each bundle.

        A bundle is the shards that one call can publish to. From any thread.
        """
        return self._engines.bundle_histograms()


def _take_newest(found: dict[str, ProcessReport], reports: Sequence[ProcessReport]) -> None:
    for report in reports:
        other = found.get(report.process)
        if other is None or report.age < other.age:
            found[report.process] = report


async def _ask_keepers(
    engine: Engine, ask: Callable[[Backend, int], Awaitable[Result]], within: float
) -> dict[str, Result | str]:
    """Ask the shards that keep reports; return their servers' answers, or why there is none."""
    backend = engine.backend

    async def one(shard: int) -> Result | str:
        try:
            async with stall_tolerant_timeout(within):
                return await ask(backend, shard)
        except TimeoutError:
            return f"no answer within {within:g} s"
        except ShardLayerError as error:
            return str(error.__cause__ or error)

    keepers = _keepers(_servers_of_shards(engine))
    answers = await asyncio.gather(*map(one, keepers.values()))
    return dict(zip(keepers, answers, strict=True))


def _keepers(servers: Sequence[str]) -> dict[str, int]:
    """Return the first shard of each of the first COPIES servers, by server."""
    first: dict[str, int] = {}
    for shard, server in enumerate(servers):
        if server not in first:
            first[server] = shard
        if len(first) == COPIES:
            break
    return first


def _servers_of_shards(engine: Engine) -> list[str]:
    backend = engine.backend
    shards = range(engine.shards)
    return [_server_of(backend, shard) for shard in shards]


def _server_of(backend: Backend, shard: int) -> str:
    try:
        return backend.servers[backend.server_of(shard)]
    except (LookupError, ValueError):  # a Cluster's slots have just moved
        return ""
