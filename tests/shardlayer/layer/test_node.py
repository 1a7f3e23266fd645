"""Joining rooms and hearing them, through a real Redis and in memory."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.broker.values import Page
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.sharding import hash_tags
from shardlayer.core.types import BEGINNING, Position
from shardlayer.layer import ShardedChannelLayer
from tests.shardlayer.fakes import BrokenSink, RecordingSink
from tests.waiting import PATIENCE, until


class Room:
    """Members of one room, for tests: joins, and waits for what comes."""

    def __init__(self, layer: ShardedChannelLayer, name: str = "general") -> None:
        self.layer = layer
        self.name = name

    async def join(self, since: Position | None = None) -> RecordingSink:
        """Join as the consumer does: the reply is written, then pushes are let through."""
        sink = RecordingSink()
        joined = await (await self.layer.node()).join(self.name, sink, since)
        sink.texts += [item.data for item in joined.publications]
        joined.release()
        return sink

    async def publish(self, *numbers: int) -> None:
        await self.layer.publish_many([(self.name, b"%d" % number) for number in numbers])


async def numbers(sink: RecordingSink, count: int) -> list[int]:
    """Return the data of `count` publications that a sink got in its reply and as pushes."""
    await until(lambda: len(sink.texts) >= count)
    found = []
    for text in sink.texts:
        value = orjson.loads(text)
        found.append(value if isinstance(value, int) else value.get("data", "reset"))
    return found


@asynccontextmanager
async def layer_on(url: str, **config: object) -> AsyncIterator[ShardedChannelLayer]:
    layer = ShardedChannelLayer(hosts=[url], **config)
    try:
        yield layer
    finally:
        await layer.close()


@pytest.fixture(params=["memory", "redis"])
async def layer(request: pytest.FixtureRequest) -> AsyncIterator[ShardedChannelLayer]:
    """A layer on each kind of backend."""
    url = f"memory://{uuid4().hex}"
    if request.param == "redis":
        url = request.getfixturevalue("redis_server").url
    async with layer_on(url, history={"*": {"size": 1_000, "ttl": 60}}) as made:
        yield made


async def test_member_gets_what_is_published_after_it_joined(layer: ShardedChannelLayer) -> None:
    """The plain case, end to end: join, publish, push; leave, publish, nothing."""
    room = Room(layer)
    await room.publish(1)
    sink = await room.join()
    await room.publish(2, 3)
    assert await numbers(sink, 2) == [2, 3]
    (await layer.node()).leave("general", sink)
    other = await room.join()
    await room.publish(4)
    assert await numbers(other, 1) == [4]
    assert await numbers(sink, 2) == [2, 3]


async def test_later_members_need_no_round_trip(layer: ShardedChannelLayer) -> None:
    """The second join of a room is answered from memory, at the room's position."""
    node = await layer.node()
    first = await node.join("general", RecordingSink())
    second_join = node.join("general", RecordingSink())
    with pytest.raises(StopIteration) as ended:
        second_join.send(None)
    assert ended.value.value.position == first.position
    assert node.members("general") == 2


async def test_recovery_gives_what_was_missed_then_pushes(layer: ShardedChannelLayer) -> None:
    """A member that comes back gets every publication once, in order."""
    room = Room(layer)
    await room.publish(1, 2)
    sink = await room.join(BEGINNING)
    await room.publish(3)
    assert await numbers(sink, 3) == [1, 2, 3]
    back = await room.join(Position(offset=1, epoch=(await layer.room_info("general")).epoch))
    await room.publish(4)
    assert await numbers(back, 3) == [2, 3, 4]


async def test_joins_amid_publications_see_no_gap_and_no_repeat(
    layer: ShardedChannelLayer,
) -> None:
    """50 members that join from the beginning while 500 publications go by all get 1 to 500."""
    room = Room(layer)
    await room.publish(1)

    async def publish_all() -> None:
        for number in range(2, 501, 3):
            await room.publish(*range(number, min(number + 3, 501)))

    async def join_later(turns: int) -> RecordingSink:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await room.join(BEGINNING)

    publishing = asyncio.create_task(publish_all())
    sinks = await asyncio.gather(*(join_later(turn * 20) for turn in range(50)))
    await publishing
    for sink in sinks:
        got = await numbers(sink, 500)
        assert got == list(range(1, 501))


async def test_join_in_the_very_turn_in_which_the_room_is_entered(
    layer: ShardedChannelLayer,
) -> None:
    """Whichever turn of the loop a second member comes in, it learns what it missed."""
    node = await layer.node()
    for turns in range(60):
        name = f"room{turns}"
        await layer.publish(name, b"1")
        first = asyncio.create_task(node.join(name, RecordingSink()))
        for _ in range(turns):
            await asyncio.sleep(0)
        second = await node.join(name, RecordingSink(), BEGINNING)
        assert second.position == (await first).position
        assert [item.data for item in second.publications] == [b"1"], turns


async def test_first_joins_share_one_registration(layer: ShardedChannelLayer) -> None:
    """Members that join a new room at the same moment all get what follows."""
    room = Room(layer)
    sinks = await asyncio.gather(*(room.join() for _ in range(20)))
    await room.publish(1)
    for sink in sinks:
        assert await numbers(sink, 1) == [1]


async def test_cancelled_join_hurts_no_other(layer: ShardedChannelLayer) -> None:
    """The member whose join registers the room may go away; whoever waits with it gets in."""
    room = Room(layer)
    first = asyncio.create_task(room.join())
    second = asyncio.create_task(room.join())
    await asyncio.sleep(0)
    first.cancel()
    sink = await second
    await room.publish(1)
    assert await numbers(sink, 1) == [1]
    assert (await layer.node()).members("general") == 1


async def test_members_on_several_nodes(redis_server: EmbeddedValkey) -> None:
    """Two layers stand for two processes: both nodes deliver, the registry shows both."""
    async with (
        layer_on(redis_server.url, members_interval=0.05) as here,
        layer_on(redis_server.url, members_interval=0.05) as there,
    ):
        sinks = [await Room(layer).join() for layer in (here, there, there)]
        await Room(here).publish(1)
        for sink in sinks:
            assert await numbers(sink, 1) == [1]

        async def reported() -> bool:
            return sorted((await here.room_info("general")).nodes.values()) == [1, 2]

        await until(reported)


async def test_empty_room_is_forgotten_after_the_linger(redis_server: EmbeddedValkey) -> None:
    """A room whose last member left leaves the registry, but not at once."""
    async with layer_on(redis_server.url, linger=3.0) as layer:
        node = await layer.node()
        sink = await Room(layer).join()
        node.leave("general", sink)
        assert (await layer.room_info("general")).nodes == {node.id: 1}

        async def forgotten() -> bool:
            return not (await layer.room_info("general")).nodes

        await until(forgotten)
        assert node.rooms() == 0


async def test_restarted_redis_is_heard_again(redis_server: EmbeddedValkey) -> None:
    """A Redis that comes back empty: members are told of the reset, and nothing hangs."""
    async with layer_on(redis_server.url) as layer:
        room = Room(layer)
        sink = await room.join()
        await room.publish(1, 2)
        assert await numbers(sink, 2) == [1, 2]
        redis_server.stop()
        redis_server.start()
        await until(lambda: len(sink.texts) == 3)  # the reset
        await room.publish(3)
        assert await numbers(sink, 4) == [1, 2, "reset", 3]


async def test_node_whose_subscription_was_cut_reads_what_it_missed(
    redis_server: EmbeddedValkey,
) -> None:
    """Publications made while the node was deaf arrive, in order and once."""
    async with layer_on(redis_server.url) as layer, layer_on(redis_server.url) as other:
        sink = await Room(layer).join()
        await Room(other).publish(1)
        assert await numbers(sink, 1) == [1]
        shard = layer.shard_of("general")
        backend = (await layer.node())._backend
        with Redis.from_url(redis_server.url) as redis:
            redis.client_kill_filter(_type="pubsub")
        await Room(other).publish(2, 3, 4)
        assert await numbers(sink, 4) == [1, 2, 3, 4]
        await asyncio.wait_for(backend.heard(shard), PATIENCE)
        await Room(other).publish(5)
        assert await numbers(sink, 5) == [1, 2, 3, 4, 5]


async def test_publisher_waits_for_a_redis_that_restarts(redis_server: EmbeddedValkey) -> None:
    """A short outage is waited out; the publication is applied once."""
    async with layer_on(redis_server.url, publish_timeout=PATIENCE) as layer:
        await Room(layer).publish(1)
        redis_server.stop()
        publishing = asyncio.create_task(Room(layer).publish(2))
        await asyncio.sleep(0)
        redis_server.start()
        await publishing
        held = await layer.history("general")
        assert [item.data for item in held] == [b"2"]  # this Redis keeps nothing over a restart


async def test_nobody_is_told_of_what_redis_refused(redis_server: EmbeddedValkey) -> None:
    """A server that takes no writes would still publish, and do so with each retry."""
    redis = Redis.from_url(redis_server.url)
    async with layer_on(redis_server.url, history={}, publish_timeout=5.0) as layer:
        room = Room(layer)
        sink = await room.join()
        await room.publish(1)
        redis.config_set("min-replicas-to-write", 1)
        try:
            with pytest.raises(ShardUnavailable, match="NOREPLICAS"):
                await room.publish(2)
        finally:
            redis.config_set("min-replicas-to-write", 0)
        await room.publish(3)
        assert await numbers(sink, 2) == [1, 3]


async def test_answer_that_can_not_be_read_is_asked_for_again(
    redis_server: EmbeddedValkey, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever keeps a room from being entered again, it is tried on, and its members go on."""
    redis = Redis.from_url(redis_server.url)
    async with layer_on(redis_server.url) as layer:
        room = Room(layer)
        sink = await room.join()
        await room.publish(1)
        shard = layer.shard_of(room.name)
        tag = hash_tags(layer.options.prefix, layer.options.shards)[shard]
        meta = ShardKeys(tag).meta(room.name)
        epoch = (await layer.room_info(room.name)).epoch
        redis.set(meta, b"1 " + b"\xff" * len(epoch) + b" ")
        (await layer.node()).resumed([shard])
        await until(lambda: "can't be entered again yet" in caplog.text)
        redis.set(meta, f"1 {epoch} ")
        await room.publish(2)
        assert await numbers(sink, 2) == [1, 2]


async def test_dead_shard_raises_and_harms_no_other(redis_server: EmbeddedValkey) -> None:
    """After `publish_timeout` ShardUnavailable names shard and server; other shards go on."""
    dead = "redis://127.0.0.1:1"
    layer = ShardedChannelLayer(hosts=[redis_server.url, dead], publish_timeout=4.0)
    names = [f"room{number}" for number in range(50)]
    lost = next(name for name in names if layer.shard_of(name) % 2)
    fine = next(name for name in names if not layer.shard_of(name) % 2)
    try:
        with pytest.raises(ShardUnavailable, match=r"127\.0\.0\.1:1") as caught:
            await layer.publish(lost, b"1")
        assert caught.value.shard == layer.shard_of(lost)
        with pytest.raises(ShardUnavailable):
            await Room(layer, lost).join()
        sink = await Room(layer, fine).join()
        await layer.publish(fine, b"1")
        assert await numbers(sink, 1) == [1]
        assert set(map(type, (await layer.ping(PATIENCE)).values())) == {float, ShardUnavailable}
    finally:
        await layer.close()


async def test_node_that_was_forgotten_registers_again(redis_server: EmbeddedValkey) -> None:
    """A node whose lease ended (it froze) joins its rooms again and reads what it missed."""
    async with layer_on(redis_server.url, lease_ttl=0.6) as layer:
        sink = await Room(layer).join()
        await Room(layer).publish(1)
        assert await numbers(sink, 1) == [1]
        node = await layer.node()
        shard = layer.shard_of("general")

        async def targeted() -> bool:
            before = layer.stats()["targeted"]
            await layer.publish("general", b"2")
            return layer.stats()["targeted"] > before

        await until(targeted)
        await node._backend.withdraw(shard, node.id)
        await node._backend.leave(shard, node.id, ["general"])
        await Room(layer).publish(3, 4)
        got = await numbers(sink, len(await layer.history("general")))
        assert got[0] == 1
        assert got[-2:] == [3, 4]
        assert set(got[1:-2]) == {2}


async def test_batch_of_another_release_is_complained_about(
    layer: ShardedChannelLayer, caplog: pytest.LogCaptureFixture
) -> None:
    """A version that this process does not know is logged with what to do, and counted."""
    node = await layer.node()
    node.arrived(0, b"\x63whatever")
    assert "wire version 99" in caplog.text
    assert "restart this one" in caplog.text
    assert layer.stats()["broken_batches"] == 1


async def test_hung_server_holds_up_no_other(redis_server: EmbeddedValkey, tmp_path: Path) -> None:
    """While one server is asked what it is and does not answer, the others are used."""
    with EmbeddedValkey(directory=tmp_path) as hung:
        layer = ShardedChannelLayer(hosts=[redis_server.url, hung.url], publish_timeout=6.0)
        names = [f"room{number}" for number in range(50)]
        lost = next(name for name in names if layer.shard_of(name) % 2)
        fine = next(name for name in names if not layer.shard_of(name) % 2)
        assert hung.pid is not None
        os.kill(hung.pid, signal.SIGSTOP)
        try:
            waiting = asyncio.create_task(layer.publish(lost, b"1"))
            await asyncio.sleep(0)
            async with asyncio.timeout(5.0):
                assert await layer.publish(fine, b"1") is not None
            with pytest.raises(ShardUnavailable):
                await waiting
        finally:
            os.kill(hung.pid, signal.SIGCONT)
            await layer.close()


async def test_rooms_that_nobody_is_in_are_given_up(redis_server: EmbeddedValkey) -> None:
    """Also those that linger while their shard is heard again, and those whose members failed."""
    async with layer_on(redis_server.url, linger=0.3) as layer:
        node = await layer.node()
        for number in range(20):
            name = f"room{number}"
            sink = BrokenSink() if number % 2 else RecordingSink()
            (await node.join(name, sink)).release()
            await layer.publish(name, b"1")
            node.leave(name, sink)
        node.resumed(range(32))
        await until(lambda: node.rooms() == 0)


async def test_shard_that_is_heard_after_the_node_closed_gets_no_lease(
    layer: ShardedChannelLayer,
) -> None:
    """A loop may wind up while its node still connects: no task is begun that nobody would end."""
    node = await layer.node()
    await node.aclose()
    before = asyncio.all_tasks()
    node._heard.clear()
    node.resumed([0])
    assert asyncio.all_tasks() == before


async def test_member_reads_on_in_pages(layer: ShardedChannelLayer) -> None:
    """Who missed more than a page gets the rest from the history, then what is new, each once."""
    room, sink, page = Room(layer), RecordingSink(), Page(max_bytes=100)
    await room.publish(*range(1, 10))
    node = await layer.node()
    joined = await node.join("general", sink, BEGINNING, page)
    sink.texts += [item.data for item in joined.publications]
    assert 0 < len(sink.texts) < 9
    await room.publish(10)  # is skipped at the gate, and read
    pages = 0
    while joined.is_behind:
        for broadcast in await node.read_on(joined, page):
            sink.write(broadcast)
        pages += 1
    joined.release()
    await room.publish(11)
    assert pages > 1
    assert await numbers(sink, 11) == list(range(1, 12))


async def test_member_that_reads_on_is_told_what_is_gone(redis_server: EmbeddedValkey) -> None:
    """What goes from the history before a slow member has read it is told with a reset."""
    async with layer_on(redis_server.url) as layer:
        room, sink, page = Room(layer), RecordingSink(), Page(max_bytes=50)
        await room.publish(*range(1, 10))
        node = await layer.node()
        joined = await node.join("general", sink, BEGINNING, page)
        sink.texts += [item.data for item in joined.publications]
        assert joined.position is not None
        last = joined.position.offset
        tag = hash_tags(layer.options.prefix, layer.options.shards)[layer.shard_of("general")]
        with Redis.from_url(redis_server.url) as redis:
            redis.xtrim(ShardKeys(tag).history("general"), minid="7-0", approximate=False)
        while joined.is_behind:
            for broadcast in await node.read_on(joined, page):
                sink.write(broadcast)
        joined.release()
        await room.publish(10)
        assert await numbers(sink, last + 5) == [*range(1, last + 1), "reset", 7, 8, 9, 10]


async def test_member_behind_is_not_released(layer: ShardedChannelLayer) -> None:
    """Letting pushes through before the member has read on is the caller's error."""
    await Room(layer).publish(*range(1, 10))
    joined = await (await layer.node()).join(
        "general", RecordingSink(), BEGINNING, Page(max_bytes=50)
    )
    with pytest.raises(RuntimeError, match="read on"):
        joined.release()


async def test_member_that_left_reads_no_more(layer: ShardedChannelLayer) -> None:
    """Who left, or joined again, while it was behind is given nothing, and may be released."""
    await Room(layer).publish(*range(1, 10))
    node, sink, page = await layer.node(), RecordingSink(), Page(max_bytes=50)
    joined = await node.join("general", sink, BEGINNING, page)
    node.leave("general", sink)
    assert await node.read_on(joined, page) == []
    joined.release()


async def test_gate_holds_a_bounded_amount(layer: ShardedChannelLayer) -> None:
    """A member whose reply takes long holds up to 1 MiB of pushes; past that it reads them."""
    node, sink = await layer.node(), RecordingSink()
    joined = await node.join("general", sink)
    data = b'"%b"' % (b"x" * 200_000)
    for _ in range(7):
        await layer.publish("general", data)
    await until(lambda: joined.is_behind)
    while joined.is_behind:
        for broadcast in await node.read_on(joined):
            sink.write(broadcast)
    joined.release()
    await layer.publish("general", b"8")
    await until(lambda: len(sink.texts) == 8)
    assert [orjson.loads(text)["offset"] for text in sink.texts] == list(range(1, 9))


async def test_members_are_counted_as_they_come_and_go() -> None:
    """The count that is kept is what a sum over all rooms would say, however they come and go."""
    async with layer_on(f"memory://{uuid4().hex}") as layer:
        node = await layer.node()

        def counted() -> int:
            summed = sum(len(room) for hub in node._rooms.hubs for room in hub.rooms.values())
            by_shard = sum(counters.members for counters in layer.shard_counters())
            assert summed == layer.stats()["members"] == by_shard
            return summed

        first, second, broken = RecordingSink(), RecordingSink(), BrokenSink()
        for sink in (first, second, first, broken):
            (await node.join("a", sink)).release()
        (await node.join("b", first)).release()
        assert counted() == 4
        channel = await layer.new_channel()
        for _ in range(2):
            await layer.group_add("a", channel)
        assert counted() == 5
        await layer.publish("a", b"1")
        await until(lambda: counted() == 4)  # who can't be written to is put out
        for _ in range(2):
            node.leave("b", first)
            await layer.group_discard("a", channel)
        assert counted() == 2
        await layer.group_add("a", channel)
        await layer.flush()
        assert counted() == 2  # the channel's membership ended; sinks stay
        for sink in (first, second, broken):
            node.leave("a", sink)
        assert counted() == 0
