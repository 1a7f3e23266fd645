"""Asks a Redis server all that decides whether it serves the layer well: more than `probe` does.

For an operator who looks, and not for each new connection: it is some commands one after another.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shardlayer.broker.redis.command_link import close
from shardlayer.broker.redis.server_report import ServerReport, read_report
from shardlayer.broker.redis.sockets import Failure
from shardlayer.core.hosts import Host
from shardlayer.core.redis_clients import connect

PINGS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSurvey:
    """What a server said of itself, and what it did when asked.

    Attributes:
        report: What `probe` says as well; where it has an error, the rest means nothing.
        seconds: How long it took to answer a PING: the quickest of PINGS, since a moment in which
            the asking machine is busy says nothing of the server.
        is_replica: Whether it copies another server, and takes no writes.
        is_append_only: Whether it keeps an append-only file.
        saves: When it writes snapshots, as its option `save` has it; empty: never, None: it does
            not say.
        disk_error: What last failed when it wrote to its disk; empty: nothing.
        clock_ahead: Seconds that its clock is ahead of this machine's.
        used_memory: Bytes.
        clients: Connections that it has.
        max_clients: Connections that it takes; 0: it does not say.
        script_error: Why it runs no scripts; empty if it does.
        cluster_state: Of the Cluster that it is in, such as `ok`; empty: of none.
    """

    report: ServerReport
    seconds: float = 0.0
    is_replica: bool = False
    is_append_only: bool = False
    saves: str | None = None
    disk_error: str = ""
    clock_ahead: float = 0.0
    used_memory: int = 0
    clients: int = 0
    max_clients: int = 0
    script_error: str = ""
    cluster_state: str = ""

    @property
    def keeps_nothing(self) -> bool:
        """Whether its data are certainly gone when it is started again."""
        return not self.is_append_only and self.saves == ""


async def survey(host: Host, *, within: float) -> ServerSurvey:
    """Ask a server. One that takes more than `within` seconds for an answer is an error."""
    redis = connect(host, timeout=within)
    try:
        await redis.ping()  # connects, and signs in
        seconds = min([await _ping(redis) for _ in range(PINGS)])
        asked = time.time()
        info = await redis.info("everything")
        middle = (asked + time.time()) / 2
        report = read_report(host.address, info)
        return ServerSurvey(
            report=report,
            seconds=seconds,
            is_replica=info.get("role") == "slave",
            is_append_only=bool(int(info.get("aof_enabled", 0))),
            saves=await _saves(redis),
            disk_error=_disk_error(info),
            clock_ahead=report.asked_at - middle if report.asked_at else 0.0,
            used_memory=int(info.get("used_memory", 0)),
            clients=int(info.get("connected_clients", 0)),
            max_clients=int(info.get("maxclients", 0)),
            script_error=await _script_error(redis),
            cluster_state=await _cluster_state(redis) if report.is_cluster else "",
        )
    except Exception as error:  # of credentials, too
        known = isinstance(error, Failure)
        text = str(error) if known and str(error) else repr(error)
        return ServerSurvey(report=ServerReport(address=host.address, error=text))
    finally:
        await close(redis)


async def _ping(redis: Redis) -> float:
    began = time.perf_counter()
    await redis.ping()
    return time.perf_counter() - began


async def _saves(redis: Redis) -> str | None:
    try:
        found = await redis.config_get("save")
    except RedisError:  # a hosted server tells nobody, and an ACL may forbid it
        return None
    values: Mapping[Any, Any] = found  # whose types say less than there may be
    value = values.get("save", values.get(b"save"))
    return value.decode() if isinstance(value, bytes) else value


async def _script_error(redis: Redis) -> str:
    try:
        await redis.eval("return 1", 0)
    except RedisError as error:
        return str(error) or repr(error)
    return ""


async def _cluster_state(redis: Redis) -> str:
    try:
        found = await redis.execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]
    except RedisError:
        return ""
    if isinstance(found, Mapping):
        return str(found.get("cluster_state", ""))
    text = found.decode() if isinstance(found, bytes) else str(found)
    lines = dict(line.split(":", 1) for line in text.split() if ":" in line)
    return lines.get("cluster_state", "")


def _disk_error(info: Mapping[str, Any]) -> str:
    for name, what in (
        ("aof_last_write_status", "writing the append-only file"),
        ("aof_last_bgrewrite_status", "rewriting the append-only file"),
        ("rdb_last_bgsave_status", "writing a snapshot"),
    ):
        if info.get(name, "ok") not in ("ok", b"ok"):
            return what
    return ""
