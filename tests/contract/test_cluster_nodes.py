"""A Cluster that is away, that has lost slots, that moves them slowly, and that nodes leave."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from demo.embedded.ports import LOOPBACK, free_port
from shardlayer.core import reserved_rooms
from shardlayer.core.channel_names import new_channel
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.sharding import hash_tags, shard_of, slot_of
from shardlayer.core.types import HistoryPolicy, Mark
from shardlayer.layer import ShardedChannelLayer
from tests.contract.bare import OPTIONS, bare_cluster, join
from tests.contract.places import ClusterPlace, tell
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import PATIENCE, until

ROOM = "general"
OWN_ROOM = "own"  # of an application: only `publish_reserved` publishes to it
SHARDS = 32
IMPATIENT: dict[str, Any] = {"publish_timeout": 2.0}

WITHIN = 5.0  # seconds

Call = Callable[[ShardedChannelLayer], Awaitable[object]]


async def _join(layer: ShardedChannelLayer) -> object:
    return await (await layer.node()).join(ROOM, RecordingSink())


async def _read(layer: ShardedChannelLayer) -> object:
    channel = new_channel("specific", (await layer.node()).id)
    return await layer.channel_reader(channel, lambda: None)


async def _publish_soon(layer: ShardedChannelLayer) -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[BaseException | None] = loop.create_future()
    layer.publish_soon(
        ROOM, b"1", told=lambda error: loop.call_soon_threadsafe(ended.set_result, error)
    )
    if (error := await ended) is not None:
        raise error


def _sync(name: str, *arguments: object) -> Call:
    """Return a call from a thread without an event loop."""
    return lambda layer: asyncio.to_thread(getattr(layer, name), *arguments)


CALLS: dict[str, Call] = {
    "send": lambda layer: layer.send("channel", {"type": "x"}),
    "receive": lambda layer: layer.receive("channel"),
    "new_channel": lambda layer: layer.new_channel(),
    "group_add": lambda layer: layer.group_add("group", "channel"),
    "group_discard": lambda layer: layer.group_discard("group", "channel"),
    "group_send": lambda layer: layer.group_send("group", {"type": "x"}),
    "flush": lambda layer: layer.flush(),
    "join": _join,
    "publish": lambda layer: layer.publish(ROOM, b"1"),
    "publish_many": lambda layer: layer.publish_many([(ROOM, b"1")]),
    "publish_marked": lambda layer: layer.publish_marked([(ROOM, b"1", Mark("t/0", 0))]),
    "announce": lambda layer: layer.announce(b"1"),
    "marks": lambda layer: layer.marks(["t/0"]),
    "forget_marks": lambda layer: layer.forget_marks(["t/0"]),
    "set_targeted_percent": lambda layer: layer.set_targeted_percent(100),
    "scan_rooms": lambda layer: layer.scan_rooms(0),
    "room_info": lambda layer: layer.room_info(ROOM),
    "history": lambda layer: layer.history(ROOM),
    "history_page": lambda layer: layer.history_page(ROOM),
    "clear_history": lambda layer: layer.clear_history(ROOM),
    "position": lambda layer: layer.position(ROOM),
    "presence": lambda layer: layer.presence(ROOM),
    "room_names": lambda layer: layer.room_names(0),
    "room_answers": lambda layer: layer.room_answers(ROOM),
    "group_members": lambda layer: layer.group_members("group"),
    "group_size": lambda layer: layer.group_size("group"),
    "publish_reserved": lambda layer: layer.publish_reserved(OWN_ROOM, b"1"),
    "publish_soon": _publish_soon,
    "send_sync": _sync("send_sync", "channel", {"type": "x"}),
    "group_send_sync": _sync("group_send_sync", "group", {"type": "x"}),
    "group_members_sync": _sync("group_members_sync", "group"),
    "group_size_sync": _sync("group_size_sync", "group"),
    "publish_sync": _sync("publish_sync", ROOM, b"1"),
    "publish_many_sync": _sync("publish_many_sync", [(ROOM, b"1")]),
    "announce_sync": _sync("announce_sync", b"1"),
}
"""Those that raise ShardUnavailable while all is away; `publish_soon` tells it."""

ANSWERED: dict[str, Call] = {
    "ping": lambda layer: layer.ping(WITHIN),
    "survey": lambda layer: layer.survey([ROOM], within=WITHIN),
    "process_reports": lambda layer: layer.process_reports(within=WITHIN),
    "report_process": lambda layer: layer.report_process("p", b"{}", ttl=5.0, within=WITHIN),
    "server_memory": lambda layer: layer.server_memory(within=WITHIN),
}
"""Those whose answer says which servers are away."""

UNMOVED: dict[str, Call] = {
    "node": lambda layer: layer.node(),
    "channel_reader": _read,
    "shard_places": lambda layer: layer.shard_places(),
    "forget_process": lambda layer: layer.forget_process("p", within=WITHIN),
    "close": lambda layer: layer.close(),
    "close_pools": lambda layer: layer.close_pools(),
}
"""Those that need no server, or do what they can."""


@pytest.fixture(autouse=True)
def own_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A room that is reserved while a test runs."""
    monkeypatch.setattr(reserved_rooms, "_reserved", {})
    reserved_rooms.reserve_room(OWN_ROOM, lambda: HistoryPolicy(size=7, ttl=60.0))


@pytest.fixture(params=["cluster", "server"])
async def away(request: pytest.FixtureRequest) -> AsyncIterator[ShardedChannelLayer]:
    """A layer whose only server does not run."""
    layer = ShardedChannelLayer(
        hosts=[f"redis://{LOOPBACK}:{free_port()}"],
        cluster=request.param == "cluster",
        publish_timeout=0.3,
    )
    yield layer
    await layer.close()


@pytest.mark.parametrize("own_loop", [True, False])
@pytest.mark.parametrize("name", CALLS)
async def test_call_while_all_is_away(
    away: ShardedChannelLayer, name: str, *, own_loop: bool
) -> None:
    """Every public call raises an error of ours, whichever loop it uses."""
    if own_loop:
        away.use_running_loop()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ShardUnavailable):
            await CALLS[name](away)


@pytest.mark.parametrize("name", ANSWERED)
async def test_answer_while_all_is_away(away: ShardedChannelLayer, name: str) -> None:
    """It names what is not known, and nothing is raised."""
    async with asyncio.timeout(PATIENCE):
        answer = await ANSWERED[name](away)
    assert any(asked in repr(answer) for asked in (*away.servers(), ROOM))


@pytest.mark.parametrize("name", UNMOVED)
async def test_what_needs_no_server_while_all_is_away(away: ShardedChannelLayer, name: str) -> None:
    """It is done as ever."""
    async with asyncio.timeout(PATIENCE):
        await UNMOVED[name](away)


def test_every_call_is_tried() -> None:
    """A method of the layer that waits for something is in one of the three tables."""
    members = inspect.getmembers(ShardedChannelLayer, inspect.isfunction)
    waiting = {
        name
        for name, member in members
        if not name.startswith("_")
        and (
            inspect.iscoroutinefunction(member)
            or name.endswith("_sync")
            or "told" in inspect.signature(member).parameters
        )
    }
    tried = [*CALLS, *ANSWERED, *UNMOVED]
    assert sorted({*tried} - {"join"}) == sorted(waiting)
    assert len(tried) == len({*tried})


async def test_ping_while_all_is_away(away: ShardedChannelLayer) -> None:
    """It says why for each server, and counts are to be had."""
    answers = await away.ping()
    assert list(answers) == away.servers()
    assert all(isinstance(answer, ShardUnavailable) for answer in answers.values())
    assert away.stats()["failing_tasks"] == 0


async def served(call: Callable[[], Awaitable[object]]) -> None:
    """Wait until a call succeeds; on a busy machine it may run out of time at first."""

    async def succeeds() -> bool:
        try:
            await call()
        except ShardUnavailable:
            return False
        return True

    await until(succeeds)


async def test_cluster_that_comes_later(tmp_path: Path) -> None:
    """A worker that was started first hears everything once the Cluster is there."""
    node = EmbeddedValkey(directory=tmp_path, port=free_port(), options=OPTIONS)
    layer = ShardedChannelLayer(hosts=[f"redis://{node.address}"], cluster=True, **IMPATIENT)
    sink = RecordingSink()

    async def join_room() -> None:
        (await (await layer.node()).join(ROOM, sink)).release()

    try:
        with pytest.raises(ShardUnavailable):
            await (await layer.node()).join(ROOM, sink)
        assert layer.unheard_servers
        with node:
            # It answers, and nobody serves a slot yet.
            with pytest.raises(ShardUnavailable):
                await layer.publish(ROOM, b"0")
            join([node])
            await until(lambda: not layer.unheard_servers)
            await served(join_room)
            await served(lambda: layer.publish(ROOM, b"1"))
            await until(lambda: sink.texts)
            assert layer.failing_tasks == []
            await layer.close()
    finally:
        await layer.close()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[ClusterPlace]:
    """Two primaries."""
    with bare_cluster(tmp_path, 2) as place:
        yield place


@pytest.fixture
async def layer(two: ClusterPlace) -> AsyncIterator[ShardedChannelLayer]:
    """A layer on two primaries."""
    made = ShardedChannelLayer(**two.config, publish_timeout=10.0)
    yield made
    await made.close()


def slot_of_name(name: str) -> int:
    return slot_of(hash_tags("rt", SHARDS)[shard_of(name, SHARDS)])


def owners(clients: list[Redis], slot: int) -> tuple[Redis, Redis]:
    """Return who has a slot, and the other."""
    first, second = clients
    (mine,) = (
        entry
        for entry in tell(first, "SLOTS")
        if entry[2][1] == first.get_connection_kwargs()["port"]
    )
    return (first, second) if mine[0] <= slot <= mine[1] else (second, first)


@pytest.fixture(scope="module")
def without_slot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterPlace]:
    """Two primaries, of which none serves the slot of ROOM."""
    with bare_cluster(tmp_path_factory.mktemp("without_slot"), 2) as place:
        for client in place.clients():
            tell(client, "DELSLOTS", slot_of_name(ROOM))
            client.close()
        yield place


@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"receive", "flush", "join", "scan_rooms"}))
async def test_slot_that_nobody_serves(without_slot: ClusterPlace, name: str) -> None:
    """What concerns it raises ShardUnavailable, and all else goes on."""
    layer = ShardedChannelLayer(**without_slot.config, **IMPATIENT)
    try:
        layer.use_running_loop()
        other = next(
            room for room in map(str, range(100)) if slot_of_name(room) != slot_of_name(ROOM)
        )
        await served(lambda: layer.publish(other, b"1"))

        async def is_done_or_named() -> bool:
            (result,) = await asyncio.gather(CALLS[name](layer), return_exceptions=True)
            if not isinstance(result, BaseException):
                return True
            assert isinstance(result, ShardUnavailable)
            if result.shard == shard_of(ROOM, SHARDS):
                return True
            assert "no answer within" in str(result)  # of another shard, on a busy machine
            return False

        await until(is_done_or_named)
        with pytest.raises(ShardUnavailable):
            await layer.publish(ROOM, b"1")
        assert all(isinstance(answer, float) for answer in (await layer.ping(WITHIN)).values())
        for server in range(len(layer.servers())):
            await served(partial(layer.scan_rooms, server))
        backend = layer._engines.own().backend
        assert {backend.server_of(shard) for shard in range(SHARDS)} <= {0, 1, 2}
        for server in range(len(backend.servers)):
            await asyncio.wait([asyncio.ensure_future(backend.claim_sweep(server, 60.0))])
    finally:
        await layer.close()


async def test_worker_that_starts_while_a_slot_is_not_served(without_slot: ClusterPlace) -> None:
    """Its channels on other shards do not wait for the shard that nobody serves."""
    layer = ShardedChannelLayer(**without_slot.config, publish_timeout=3 * PATIENCE)
    try:
        layer.use_running_loop()
        node = await layer.node()
        channels = (new_channel("specific", node.id) for _ in range(100))
        elsewhere = (name for name in channels if slot_of_name(name) != slot_of_name(ROOM))
        async with asyncio.timeout(PATIENCE):
            await node.settled(next(elsewhere))
    finally:
        await layer.close()


async def test_slot_that_is_served_again(two: ClusterPlace, layer: ShardedChannelLayer) -> None:
    """Who listens hears its shard soon, though nobody publishes to it, and others all the time."""
    clients = two.clients()
    owner, _ = owners(clients, slot_of_name(ROOM))
    for client in clients:
        tell(client, "DELSLOTS", slot_of_name(ROOM))
    rooms = [room for room in map(str, range(100)) if slot_of_name(room) != slot_of_name(ROOM)]
    sink = RecordingSink()
    node = await layer.node()
    for room in rooms:
        (await node.join(room, sink)).release()
    assert layer.unheard_servers
    tell(owner, "ADDSLOTS", slot_of_name(ROOM))
    await until(lambda: not layer.unheard_servers)
    (await node.join(ROOM, sink)).release()
    for room in (ROOM, *rooms):
        await layer.publish(room, b"1")
    await until(lambda: len(sink.texts) == 1 + len(rooms))
    for client in clients:
        client.close()


async def test_slot_that_is_on_its_way_for_long(
    two: ClusterPlace, layer: ShardedChannelLayer
) -> None:
    """A queue that neither node has is waited for: ASK, then TRYAGAIN, until the slot is there."""
    channel = "channel"
    slot = slot_of_name(channel)
    await layer.history(channel)  # the map is known
    clients = two.clients()
    source, target = owners(clients, slot)
    # One of the script's keys is at the target: a script that wants others, too, is to wait.
    tell(target, "SETSLOT", slot, "IMPORTING", tell(source, "MYID"))
    tell(source, "SETSLOT", slot, "MIGRATING", tell(target, "MYID"))
    sending = asyncio.create_task(layer.send(channel, {"type": "x"}))
    await until(lambda: rejected(target, "TRYAGAIN") >= 2)
    assert not sending.done()
    for client in (target, source):
        tell(client, "SETSLOT", slot, "NODE", tell(target, "MYID"))
    await sending
    assert await layer.receive(channel) == {"type": "x"}
    for client in clients:
        client.close()


def rejected(client: Redis, error: str) -> int:
    """Return how often a node answered with an error."""
    found: dict[str, Any] = client.info("errorstats")
    return int(found.get(f"errorstat_{error}", {"count": 0})["count"])


async def test_message_goes_back_while_its_slot_is_on_its_way(
    two: ClusterPlace, layer: ShardedChannelLayer
) -> None:
    """What a cancelled receive took is put back when the slot is there, and is not lost."""
    channel = "channel"
    layer.use_running_loop()
    await layer.send(channel, {"type": "x"})
    backend = layer._engines.own().backend
    shard = shard_of(channel, SHARDS)
    queued = await backend.receive(shard, channel, reader="n")
    assert queued is not None
    clients = two.clients()
    slot = slot_of_name(channel)
    source, target = owners(clients, slot)
    tell(target, "SETSLOT", slot, "IMPORTING", tell(source, "MYID"))
    tell(source, "SETSLOT", slot, "MIGRATING", tell(target, "MYID"))
    for key in tell(source, "GETKEYSINSLOT", slot, 100):
        source.delete(key)  # as if it had moved: who reads
    restoring = asyncio.create_task(backend.restore(shard, channel, queued))
    await until(lambda: rejected(target, "TRYAGAIN") >= 2)
    for client in (target, source):
        tell(client, "SETSLOT", slot, "NODE", tell(target, "MYID"))
    await restoring
    assert await layer.receive(channel) == {"type": "x"}
    for client in clients:
        client.close()


async def test_slot_that_stays_on_its_way(two: ClusterPlace) -> None:
    """After `publish_timeout` the caller is told."""
    layer = ShardedChannelLayer(**two.config, **IMPATIENT)
    clients = two.clients()
    slot = slot_of_name("channel")
    source, target = owners(clients, slot)
    tell(target, "SETSLOT", slot, "IMPORTING", tell(source, "MYID"))
    tell(source, "SETSLOT", slot, "MIGRATING", tell(target, "MYID"))
    with pytest.raises(ShardUnavailable, match=r"on the way to 127\.0\.0\.1|Multiple keys"):
        await layer.send("channel", {"type": "x"})
    await layer.close()
    for client in clients:
        client.close()


def connections(server: EmbeddedValkey) -> int:
    """Return how many connections of ours a server has."""
    with Redis.from_url(server.url) as client:
        return sum(entry["name"] == "shardlayer" for entry in client.client_list())


async def test_nodes_that_left_lose_their_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that went to them: commands, subscriptions; and members hear the shards elsewhere."""
    monkeypatch.setattr("shardlayer.broker.redis.cluster.MAP_INTERVAL", 0.5)
    with bare_cluster(tmp_path, 3) as place:
        layer = ShardedChannelLayer(**place.config, publish_timeout=10.0)
        sink = RecordingSink()
        node = await layer.node()
        for number in range(SHARDS):
            (await node.join(f"room{number}", sink)).release()
        leaving = place.valkeys()[2]
        assert connections(leaving) == 2
        stays, other, leaves = place.clients()
        port = leaving.port
        (mine,) = (entry for entry in tell(leaves, "SLOTS") if entry[2][1] == port)
        for slot in {slot_of(tag) for tag in hash_tags("rt", SHARDS)}:
            if mine[0] <= slot <= mine[1]:
                tell(stays, "SETSLOT", slot, "IMPORTING", tell(leaves, "MYID"))
                tell(leaves, "SETSLOT", slot, "MIGRATING", tell(stays, "MYID"))
                while keys := tell(leaves, "GETKEYSINSLOT", slot, 100):
                    leaves.migrate(LOOPBACK, place.valkeys()[0].port, keys, 0, 5_000)
                for client in (stays, leaves, other):
                    tell(client, "SETSLOT", slot, "NODE", tell(stays, "MYID"))
        gone = tell(leaves, "MYID")
        tell(leaves, "RESET", "SOFT")
        for client in (stays, other):
            tell(client, "FORGET", gone)
        await until(lambda: connections(leaving) == 0, within=PATIENCE)
        for number in range(SHARDS):
            await layer.publish(f"room{number}", b"1")
        await until(lambda: len(sink.texts) == SHARDS)
        assert leaving.address not in str(layer._engines.own().backend.servers)
        await layer.close()
        for client in (stays, other, leaves):
            client.close()


async def test_nodes_with_ipv6_addresses(tmp_path: Path) -> None:
    """In the map of slots, in MOVED and in ASK."""
    options = ("--bind", LOOPBACK, "::1", "--cluster-announce-ip", "::1")
    with bare_cluster(tmp_path, 2, options) as place:
        layer = ShardedChannelLayer(**place.config, publish_timeout=10.0)
        sink = RecordingSink()
        (await (await layer.node()).join(ROOM, sink)).release()
        await layer.publish(ROOM, b"1")
        backend = layer._engines.own().backend
        assert {server.rpartition(":")[0] for server in backend.servers} == {"redis://[::1]"}
        clients = place.clients()
        slot = slot_of_name(ROOM)
        source, target = owners(clients, slot)
        target_port = target.get_connection_kwargs()["port"]
        tell(target, "SETSLOT", slot, "IMPORTING", tell(source, "MYID"))
        tell(source, "SETSLOT", slot, "MIGRATING", tell(target, "MYID"))
        while keys := tell(source, "GETKEYSINSLOT", slot, 100):
            source.migrate(LOOPBACK, target_port, keys, 0, 5_000)
        assert [item.data for item in await layer.history(ROOM)] == [b"1"]  # ASK
        for client in (target, source):
            tell(client, "SETSLOT", slot, "NODE", tell(target, "MYID"))
        await layer.publish(ROOM, b"2")  # MOVED
        await until(lambda: len(sink.texts) == 2)
        await layer.close()
        for client in clients:
            client.close()
