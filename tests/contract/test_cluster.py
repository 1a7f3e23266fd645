"""A Cluster whose slots move and whose primaries die under the layer."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis import Redis

from shardlayer.broker.redis import calls
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.broker.redis.mending import mend
from shardlayer.broker.redis.publish_script import confirm, publish
from shardlayer.broker.values import Batch, JoinRequest, Outgoing, Queued
from shardlayer.core import wire
from shardlayer.core.exceptions import ConfigurationError
from shardlayer.core.room_options import NO_HISTORY
from shardlayer.core.sharding import hash_tags, slot_of
from shardlayer.core.types import Mark, NodeId
from shardlayer.layer import ShardedChannelLayer
from tests.contract.places import CALM, ClusterPlace, cluster, tell
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import PATIENCE, until, wait_until

pytestmark = pytest.mark.slow

ROOM = "general"


@pytest.fixture
def nodes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ClusterPlace]:
    """A Cluster for one test, which may break it; the parameter is how soon a node is dead, ms."""
    with cluster(tmp_path, down_after=getattr(request, "param", CALM)) as place:
        yield place


@pytest.fixture
async def layer(nodes: ClusterPlace) -> AsyncIterator[ShardedChannelLayer]:
    """A layer on the Cluster, with patience enough for a failover."""
    made = ShardedChannelLayer(
        **nodes.config, publish_timeout=20.0, wait_replicas=0, capacity=1_000
    )
    yield made
    await made.close()


class Traffic:
    """Publishes numbers to one room without pause, and has a member that records them."""

    def __init__(self, layer: ShardedChannelLayer) -> None:
        self.layer = layer
        self.sink = RecordingSink()
        self.acknowledged = 0

    async def __aenter__(self) -> Traffic:
        (await (await self.layer.node()).join(ROOM, self.sink)).release()
        self._task = asyncio.create_task(self._publish())
        await self.go_on()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _publish(self) -> None:
        for number in itertools.count():
            await self.layer.publish(ROOM, b"%d" % number)
            self.acknowledged = number + 1

    async def go_on(self) -> None:
        """Return once 20 more publications have been acknowledged."""
        goal = self.acknowledged + 20
        await until(lambda: self._task.done() or self.acknowledged >= goal)
        assert not self._task.done(), self._task.exception()

    async def is_complete(self) -> bool:
        """Stop publishing; tell whether the member got all that was acknowledged, and in order.

        One more may have come: the publication that was under way at the end.
        """
        await self.__aexit__()
        await until(lambda: len(self._numbers()) >= self.acknowledged)
        got = self._numbers()
        return got == list(range(len(got))) and len(got) - self.acknowledged <= 1

    def _numbers(self) -> list[object]:
        pushes = map(orjson.loads, self.sink.texts)
        return ["reset" if "reset" in push else push["data"] for push in pushes]


def slot_of_room(layer: ShardedChannelLayer) -> int:
    return slot_of(hash_tags("rt", 32)[layer.shard_of(ROOM)])


def owner_of(slot: int, clients: list[Redis]) -> Redis:
    """Return the primary that serves a slot."""
    for client in clients:
        for first, last, primary, *_ in tell(client, "SLOTS"):
            if first <= slot <= last:
                return next(c for c in clients if port_of(c) == primary[1])
    raise AssertionError(f"nobody has slot {slot}")


def port_of(client: Redis) -> int:
    port: int = client.get_connection_kwargs()["port"]
    return port


def is_primary(client: Redis) -> bool:
    role: str = client.info("replication")["role"]
    return role == "master"


async def move(nodes: ClusterPlace, slot: int, how: Callable[[Redis, Redis, int], None]) -> None:
    clients = nodes.clients()
    source = owner_of(slot, clients)
    target = next(c for c in clients if is_primary(c) and port_of(c) != port_of(source))
    await asyncio.to_thread(how, source, target, slot)
    await asyncio.to_thread(
        wait_until,
        lambda: port_of(owner_of(slot, [target, *clients])) == port_of(target),
        within=PATIENCE,
    )


def key_by_key(source: Redis, target: Redis, slot: int) -> None:
    """Move a slot the classic way, slowly: ASK and TRYAGAIN are answered on the way."""
    source_id, target_id = tell(source, "MYID"), tell(target, "MYID")
    tell(target, "SETSLOT", slot, "IMPORTING", source_id)
    tell(source, "SETSLOT", slot, "MIGRATING", target_id)
    while keys := tell(source, "GETKEYSINSLOT", slot, 1):
        source.migrate("127.0.0.1", port_of(target), keys, 0, 5_000)
        time.sleep(0.05)
    for client in (target, source):
        tell(client, "SETSLOT", slot, "NODE", target_id)


def atomically(source: Redis, target: Redis, slot: int) -> None:
    """Move a slot as Valkey 9 does."""
    tell(source, "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", tell(target, "MYID"))


@pytest.mark.parametrize("how", [key_by_key, atomically])
async def test_slot_moves_in_the_middle(
    nodes: ClusterPlace, layer: ShardedChannelLayer, how: Callable[[Redis, Redis, int], None]
) -> None:
    """The shard may pause; its members get everything, in order, once."""
    async with Traffic(layer) as traffic:
        await move(nodes, slot_of_room(layer), how)
        await traffic.go_on()
        assert await traffic.is_complete()


async def test_primary_fails_over_in_the_middle(
    nodes: ClusterPlace, layer: ShardedChannelLayer
) -> None:
    """A replica that is told to take over has everything; its shards pause and go on."""
    async with Traffic(layer) as traffic:
        clients = nodes.clients()
        primary = owner_of(slot_of_room(layer), clients)
        replica = next(
            client
            for client in clients
            if not is_primary(client)
            and client.info("replication")["master_port"] == port_of(primary)
        )
        tell(replica, "FAILOVER")
        await asyncio.to_thread(wait_until, lambda: is_primary(replica), within=PATIENCE)
        await traffic.go_on()
        assert await traffic.is_complete()


@pytest.mark.parametrize("nodes", [1_000], indirect=True)
async def test_primary_dies_in_the_middle(nodes: ClusterPlace) -> None:
    """With wait_replicas nothing acknowledged is lost when a primary is killed."""
    layer = ShardedChannelLayer(**nodes.config, publish_timeout=20.0, wait_replicas=1)
    try:
        sink = RecordingSink()
        (await (await layer.node()).join(ROOM, sink)).release()
        for number in range(30):
            await layer.publish(ROOM, b"%d" % number)
        primary = owner_of(slot_of_room(layer), nodes.clients())
        next(v for v in nodes.valkeys() if v.port == port_of(primary)).kill()
        await until(lambda: has_history(layer))
        assert [item.data for item in await layer.history(ROOM)] == [
            b"%d" % number for number in range(30)
        ]
        assert len(sink.texts) == 30
    finally:
        await layer.close()


async def has_history(layer: ShardedChannelLayer) -> bool:
    try:
        return bool(await layer.history(ROOM))
    except Exception:
        return False


def test_no_call_can_cross_slots() -> None:
    """Every key and channel of every script call of a shard carries the shard's tag."""
    for tag in hash_tags("rt", 32):
        keys = ShardKeys(tag)
        for call in every_call(keys):
            texts = [*call.keys, *(text for text in call.args if "{" in str(text)[:1])]
            assert texts
            assert {slot_of(str(text)[1:].partition("}")[0]) for text in texts} == {slot_of(tag)}


async def test_who_waits_for_the_map_is_sent_before_who_comes_later(
    layer: ShardedChannelLayer,
) -> None:
    """One call in each turn of the loop, from before the Cluster is known to long after."""
    layer.use_running_loop()
    calls = []
    for number in range(300):
        calls.append(asyncio.create_task(layer.send("channel", {"type": "m", "number": number})))
        await asyncio.sleep(0)
    await asyncio.gather(*calls)
    received = [(await layer.receive("channel"))["number"] for _ in range(300)]
    assert received == list(range(300))


async def test_node_of_a_cluster_that_is_not_called_one_is_refused(nodes: ClusterPlace) -> None:
    """Listed like any server it would take some publications and refuse others."""
    layer = ShardedChannelLayer(**{**nodes.config, "cluster": False})
    try:
        with pytest.raises(ConfigurationError, match="set 'cluster' to True in CONFIG"):
            await layer.publish(ROOM, b"1")
    finally:
        await layer.close()


async def test_cluster_with_another_number_of_shards_is_refused(
    nodes: ClusterPlace, layer: ShardedChannelLayer
) -> None:
    """By the node that has the key, which is known only when the map of slots was read."""
    await layer.ping()
    rooms = {each: f"room-{each}" for each in range(64)}
    await layer.publish_many([(room, b"1") for room in rooms.values()])
    other = ShardedChannelLayer(**nodes.config, shards=16)
    try:
        with pytest.raises(ConfigurationError, match="holds 32 shards"):
            await other.publish_many([(room, b"1") for room in rooms.values()])
    finally:
        await other.close()


def every_call(keys: ShardKeys) -> list[calls.Call]:
    """Return one call of each script."""
    body = wire.pack_body(wire.Kind.PUBLICATION, "g", b"1")
    item = Outgoing(0, "g", body, NO_HISTORY, mark=Mark("t/0", 0), idempotency_key="k")
    batch = Batch(writer="w", number=1, items=[item], epoch="k3k3k3k3")
    request = JoinRequest(
        node=NodeId("n"), group="g", members=1, keeps=True, since=None, epoch="k3k3k3k3"
    )
    ttl: dict[str, Any] = {"lease_ttl": 60.0, "meta_ttl": 60.0, "meta_ttl_per_publication": 1.0}
    return [
        publish([keys], 0, batch, **ttl, idempotency_ttl=1.0),
        confirm(keys, batch),
        calls.join(keys, request, **ttl, epoch_ttl=1.0),
        calls.positions(keys, {"g": 1.0, "h": 1.0}),
        calls.prune(keys, ["g", "h"]),
        calls.renew(keys, NodeId("n"), lease_ttl=60.0),
        calls.send(keys, "c", b"1", capacity=1, expiry=1.0, reader="n"),
        calls.receive(keys, "c", reader="n", waits=1.0),
        calls.restore(keys, "c", Queued(b"m", 1)),
        calls.enroll(keys, "g", "c!1", node="n", add=True, kept_for=60.0),
        calls.attach(keys, "g", "c", expiry=1.0),
        calls.rouse(keys, "c"),
        calls.await_messages(keys, ["c"], reader="n", waits=1.0),
        *([mending] if (mending := mend([keys.nodes("g")])) else []),
    ]
