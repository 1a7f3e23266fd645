"""How the shards are, and the servers that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """One Redis server. None is unknown.

    Attributes:
        address: Without a password.
        shards: Those that it holds.
        seconds: What it took to answer just now; None if it did not.
        why: Why it did not answer; empty if it did.
        memory: Bytes that its data take, of all that use it.
        memory_limit: Bytes that they may take; 0 is any number.
    """

    address: str
    shards: tuple[int, ...]
    seconds: float | None = None
    why: str = ""
    memory: int | None = None
    memory_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardStatus:
    """One shard. None is unknown.

    Attributes:
        shard: Its number.
        server: The address of the server that holds it.
        state: `up`; `down`: its server does not answer; `partly`: it answers, and some process
            can't hear it; `unknown`: nobody says.
        since: When that began, in Unix seconds, as far as the processes that live saw it. None:
            before all of them began, or unknown.
        deaf: The ids of the nodes that can't hear it.
        rooms: With members somewhere: the largest number that one node says, since nodes may have
            the same rooms; there are at most `rooms_most`.
        rooms_most: The sum of what the nodes say.
        subscriptions: Memberships of its rooms, on all nodes.
        publications: A second, by all processes.
        deliveries: Messages written to clients, a second.
        batch_p50, batch_p99: Publications in a call, of the last minute; of the shards that the
            call may hold (see `bundle`) together.
        call_p50, call_p99: Seconds that a call took, likewise.
        bundle: The first shard of those that one call can publish to; all of them have the same
            four figures above.
        memory: Bytes that its server's data take.
    """

    shard: int
    server: str
    state: str = "unknown"
    since: float | None = None
    deaf: tuple[str, ...] = ()
    rooms: int | None = None
    rooms_most: int | None = None
    subscriptions: int | None = None
    publications: float | None = None
    deliveries: float | None = None
    batch_p50: float | None = None
    batch_p99: float | None = None
    call_p50: float | None = None
    call_p99: float | None = None
    bundle: int | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardsStatus:
    """All shards.

    Attributes:
        shards: In their order.
        servers: In the order of the settings, or as a Cluster has them.
        silent: Servers that did not answer, and why.
        are_figures_known: Whether any process told of its figures; else they are None.
    """

    shards: tuple[ShardStatus, ...]
    servers: tuple[ServerStatus, ...]
    silent: Mapping[str, str]
    are_figures_known: bool
