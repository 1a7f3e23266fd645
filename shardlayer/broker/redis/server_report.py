"""Asks a Redis server what it is, and whether it can serve the layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shardlayer.broker.redis.command_link import close
from shardlayer.broker.redis.sockets import Failure
from shardlayer.core.exceptions import ConfigurationError
from shardlayer.core.hosts import Host
from shardlayer.core.redis_clients import connect

PROBE_TIMEOUT = 1.0  # seconds for each answer
OLDEST = {"redis": (7, 0), "valkey": (7, 2)}
"""The oldest releases with sharded pub/sub and the semantics of scripts that the layer needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReport:
    """What a server said of itself.

    Attributes:
        address: Where it is, without user and password.
        error: Why it did not answer; empty if it did.
        software: `redis` or `valkey`.
        version: Its release, such as `7.2.4`.
        run_id: Names this run of it; when it is started again it has another one.
        started: When this run began, in seconds since 1970 by its clock.
        asked_at: When it was asked, by the same clock.
        is_cluster: Whether it is a node of a Redis Cluster.
        maxmemory_policy: What it does when its memory is full; only `noeviction` loses nothing.
        maxmemory: How many bytes its data may take; 0 for any number, None if it does not say.
    """

    address: str
    error: str = ""
    software: str = ""
    version: str = ""
    run_id: str = ""
    started: float = 0.0
    asked_at: float = 0.0
    is_cluster: bool = False
    maxmemory_policy: str = ""
    maxmemory: int | None = None

    @property
    def is_unbounded(self) -> bool:
        """Whether its data may take all of its machine's memory."""
        return self.maxmemory == 0

    @property
    def is_too_old(self) -> bool:
        """Whether the layer can't run on it."""
        oldest = OLDEST.get(self.software)
        return oldest is not None and _numbers(self.version) < oldest

    @property
    def evicts(self) -> bool:
        """Whether it may delete what the layer promises to keep."""
        return self.maxmemory_policy not in ("", "noeviction")


def read_report(address: str, info: Mapping[str, Any]) -> ServerReport:
    """Return the report that the reply to INFO makes."""
    software = str(info.get("server_name", "redis"))
    version = info.get(f"{software}_version") or info.get("redis_version", "")
    now = float(info.get("server_time_usec", 0)) / 1_000_000
    return ServerReport(
        address=address,
        software=software,
        version=str(version),
        run_id=str(info.get("run_id", "")),
        started=now - float(info.get("uptime_in_seconds", 0)),
        asked_at=now,
        is_cluster=bool(int(info.get("cluster_enabled", 0))),
        maxmemory_policy=str(info.get("maxmemory_policy", "")),
        maxmemory=int(info["maxmemory"]) if "maxmemory" in info else None,
    )


def require_supported(report: ServerReport, *, cluster: bool) -> None:
    """Refuse a server that is too old, or a Cluster's where none is expected.

    Raises:
        ConfigurationError: Naming its release and the oldest that will do, or the option to set.
    """
    if report.is_cluster and not cluster:
        raise ConfigurationError(
            f"{report.address} is a node of a Redis Cluster: set 'cluster' to True in CONFIG. "
            f"Without it, a Cluster refuses to publish to several shards at once."
        )
    if report.is_too_old:
        oldest = ".".join(map(str, OLDEST[report.software]))
        raise ConfigurationError(
            f"{report.address} runs {report.software} {report.version}; "
            f"shardlayer needs {report.software} {oldest} or later."
        )


async def probe(host: Host) -> ServerReport:
    """Ask a server what it is. One that does not answer is a report with an error."""
    redis = connect(host, timeout=PROBE_TIMEOUT)
    try:
        return read_report(host.address, await redis.info("everything"))
    except Exception as error:  # of credentials, too
        known = isinstance(error, Failure)
        return ServerReport(address=host.address, error=str(error) if known else repr(error))
    finally:
        await close(redis)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
