"""What the contract of the roles asks of a backend, in few words; and who hears what it tells."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Sequence
from typing import Any

from shardlayer.broker.interface import Backend, Broker, Leases, Presence, Queues
from shardlayer.broker.values import PAGE, Batch, JoinReply, JoinRequest, Outgoing, Page, Published
from shardlayer.core import wire
from shardlayer.core.types import HistoryPolicy, NodeId, Position
from tests.waiting import PATIENCE, until

SHARD = 7
POLICY = HistoryPolicy(size=300, ttl=60.0)
HERE, THERE = NodeId("here"), NodeId("there")


class BrokerWithLeases(Broker, Leases):
    """What the contract of leases needs."""


class BrokerWithQueues(Broker, Queues):
    """What the contract of queues needs: a node hears of messages as it hears of publications."""


class BrokerWithPresence(Broker, Leases, Presence):
    """What the contract of presence needs: who is where counts while its node has a lease."""


class Ear:
    """Hears what arrives for a node."""

    def __init__(self) -> None:
        self.entries: list[wire.Entry] = []
        self.resumes = 0

    def arrived(self, shard: int, batch: bytes) -> None:
        entries = wire.unpack_batch(batch)
        if entries[0].kind != wire.Kind.PROBE:  # which comes on any shard when nothing else does
            assert shard == SHARD
            self.entries += entries

    def resumed(self, shards: Sequence[int]) -> None:
        self.resumes += 1

    def lost(self, shards: Sequence[int]) -> None:
        pass

    async def wait_for(self, count: int) -> list[wire.Entry]:
        await until(lambda: len(self.entries) >= count)
        return self.entries


async def listen(broker: Broker, node: NodeId) -> Ear:
    ear = Ear()
    await broker.listen(node, ear)
    await asyncio.wait_for(broker.heard(SHARD), PATIENCE)
    return ear


def outgoing(group: str, data: bytes, policy: HistoryPolicy = POLICY) -> Outgoing:
    return Outgoing(SHARD, group, wire.pack_body(wire.Kind.PUBLICATION, group, data), policy)


async def publish(
    broker: Broker, *items: Outgoing, number: int = 1, writer: str = "w"
) -> Published:
    batch = Batch(writer=writer, number=number, items=items, epoch="k3k3k3k3")
    return await broker.publish(broker.bundle_of(SHARD), batch)


def join_request(
    group: str,
    *,
    node: NodeId = HERE,
    since: Position | None = None,
    keeps: bool = True,
    members: int = 1,
    returns: bool = False,
    page: Page = PAGE,
) -> JoinRequest:
    return JoinRequest(
        node=node,
        group=group,
        members=members,
        keeps=keeps,
        since=since,
        epoch="j0j0j0j0",
        returns=returns,
        page=page,
    )


async def join(broker: Broker, group: str, **wishes: Any) -> JoinReply:
    """Join a group; `wishes` are those of `join_request`."""
    return await broker.join(SHARD, join_request(group, **wishes))


async def take(queues: Queues, channel: str) -> bytes | None:
    queued = await queues.receive(SHARD, channel, reader=HERE)
    return queued.message if queued is not None else None


async def is_empty(found: Awaitable[Sequence[object]]) -> bool:
    return not await found


def offsets(published: Published) -> list[int]:
    return [position.offset if position else 0 for position in published.positions]


async def until_targeted(leases: BrokerWithLeases | Backend) -> None:
    """Publish until the registry, which was found new, is trusted."""
    numbers = itertools.count(1)

    async def targeted() -> bool:
        await asyncio.gather(leases.renew(SHARD, HERE), leases.renew(SHARD, THERE))
        probe = await publish(leases, outgoing("probe", b"0"), number=next(numbers))
        return probe.targeted > 0

    await until(targeted)
