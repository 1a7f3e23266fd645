"""What a health check is answered, without a database: as values, for Django and for ASGI.

Strangers get the status alone. Who asks from this machine, or brings `HEALTH_KEY`, gets the
details, which name servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any

from realtime.conf import conf
from realtime.health.redis_look import redis_look
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardLayerError, Worker

READY_PATHS = ("health", "health/ready")
LIVE_PATH = "health/live"

NOT_JOINED = "No balancer has this worker: see --balancer, and what the worker logs of it."

# Who sends one of these passes on what others ask, though it may stand on this machine.
_FORWARDED = (
    *("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"),
    *("x-forwarded-port", "x-real-ip"),
)
_BEARER = "bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks.

    Attributes:
        address: Where from; None where that is not known, as on a Unix socket.
        headers: Of the request, the names in lower case.
        worker: What the server says of itself; None on servers other than our own.
    """

    address: str | None
    headers: Mapping[str, str]
    worker: Worker | None

    @property
    def may_know(self) -> bool:
        """Whether to tell the details."""
        return self._has_key() or (self._is_local() and not self._is_forwarded())

    def _has_key(self) -> bool:
        key, given = conf().health_key, self.headers.get("authorization", "")
        if not key or given[: len(_BEARER)].lower() != _BEARER:
            return False
        return compare_digest(given[len(_BEARER) :].encode(), key.encode())

    def _is_local(self) -> bool:
        try:
            address = ip_address(self.address or "")
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback

    def _is_forwarded(self) -> bool:
        return any(name in self.headers for name in _FORWARDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The status of an answer, and its body for those who may know."""

    code: int
    details: Mapping[str, Any]

    def body(self, asker: Asker) -> Mapping[str, Any]:
        """Return what is told."""
        return self.details if asker.may_know else {"status": self.details["status"]}


LIVE = Answer(code=200, details={"status": "live"})
"""The event loop turns, or nobody would say so. Asks nothing of anybody."""


async def readiness(worker: Worker | None) -> Answer:
    """Say whether this worker can serve clients: with 200, or with 503 and the reasons.

    `ready`: all is well. `degraded`, which is 200 as well: some Redis servers do not answer or are
    not heard, or a task of the layer fails. All workers share the servers, so if each of them gave
    up for one dead server, nobody would serve the rooms of the others. `not ready`: more than
    `READY_DEAD_SHARE` of the servers are so, or the layer does not fit what the servers hold.
    `draining`: the worker stops. `not joined`: it is to get its connections from a balancer that
    does not have it. `full`: it holds as many connections as it may.
    """
    held: dict[str, Any] = {}
    if worker is not None:
        held = {"connections": worker.held, "capacity": worker.capacity}
        if worker.is_draining:
            return Answer(code=503, details={"status": "draining", **held})
        if not worker.is_joined:
            reasons = {"reasons": [NOT_JOINED]}
            return Answer(code=503, details={"status": "not joined", **held, **reasons})
        if worker.is_full:
            return Answer(code=503, details={"status": "full", **held})
    try:
        servers = await redis_look().answers()
    except ShardLayerError as error:
        return Answer(code=503, details={"status": "not ready", **held, "reasons": [str(error)]})
    dead = {server: answer for server, answer in servers.items() if isinstance(answer, str)}
    failing = sharded_layer().failing_tasks
    is_ready = len(dead) <= conf().ready_dead_share * len(servers)
    details = {
        "status": ("degraded" if dead or failing else "ready") if is_ready else "not ready",
        **held,
        "degraded": list(dead),
        "redis_ms": {server: answer for server, answer in servers.items() if server not in dead},
        "reasons": [
            *(f"{server}: {reason}" for server, reason in dead.items()),
            *(f"The task {name!r} fails and is tried again." for name in failing),
        ],
    }
    return Answer(code=200 if is_ready else 503, details=details)
