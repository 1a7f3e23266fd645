"""The channel layer as Channels and its applications call it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.core.exceptions import ConfigurationError, MessageTooLarge
from shardlayer.core.types import Position
from shardlayer.layer import ShardedChannelLayer
from tests.waiting import PATIENCE, until


@pytest.fixture(params=["memory", "redis"])
async def layer(request: pytest.FixtureRequest) -> AsyncIterator[ShardedChannelLayer]:
    """A layer on each kind of backend, with small capacities."""
    url = f"memory://{uuid4().hex}"
    if request.param == "redis":
        url = request.getfixturevalue("redis_server").url
    made = ShardedChannelLayer(hosts=[url], capacity=3, channel_capacity={"wide.*": 5})
    yield made
    await made.close()


async def test_message_arrives_as_it_was_sent(layer: ShardedChannelLayer) -> None:
    """Every kind of value that the specification names survives the way."""
    message = {
        "type": "test",
        "nested": {"list": [1, 2.5, None, True, "ü", b"\xff"], "1": {}},
        "big": 2**53,
    }
    await layer.send("somewhere", message)
    assert await layer.receive("somewhere") == message


@pytest.mark.parametrize("name", ["", "x" * 100, "with space", "ünicode", 7, None, "a!b!c"])
async def test_bad_name_is_a_type_error(layer: ShardedChannelLayer, name: object) -> None:
    """Names have 1 to 99 characters of a small alphabet; what else comes is refused."""
    with pytest.raises(TypeError):
        await layer.send(name, {"type": "x"})  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await layer.group_send(name, {"type": "x"})  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await layer.publish(name, b"{}")  # type: ignore[arg-type]


async def test_message_must_be_a_dict(layer: ShardedChannelLayer) -> None:
    """A message that is no dict is refused before anything is sent."""
    with pytest.raises(TypeError, match="dict, not list"):
        await layer.send("somewhere", ["x"])  # type: ignore[arg-type]


async def test_full_channel_raises_for_send(layer: ShardedChannelLayer) -> None:
    """ChannelFull at the capacity of the channel, which may have its own."""
    for name, capacity in (("narrow", 3), ("wide.one", 5)):
        for _ in range(capacity):
            await layer.send(name, {"type": "x"})
        with pytest.raises(ChannelFull):
            await layer.send(name, {"type": "x"})


async def test_full_member_misses_a_group_message_silently(layer: ShardedChannelLayer) -> None:
    """group_send never raises for a full member; that member misses it and it is counted."""
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    receiving = asyncio.create_task(layer.receive(channel))
    for number in range(6):
        await layer.group_send("g", {"type": "x", "n": number})
    assert (await receiving)["n"] == 0
    await until(lambda: layer.stats()["missed_messages"] == 2)
    assert [(await layer.receive(channel))["n"] for _ in range(3)] == [1, 2, 3]


async def test_send_and_group_send_keep_their_order(layer: ShardedChannelLayer) -> None:
    """What one writer sends to a channel and to its group arrives as written."""
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    waiting = asyncio.create_task(layer.receive(channel))
    await layer.send(channel, {"type": "x", "n": 0})
    assert (await waiting)["n"] == 0
    await layer.send(channel, {"type": "x", "n": 1})
    await layer.group_send("g", {"type": "x", "n": 2})
    await layer.send(channel, {"type": "x", "n": 3})
    assert [(await layer.receive(channel))["n"] for _ in range(3)] == [1, 2, 3]


async def test_group_reaches_its_members_and_no_other(layer: ShardedChannelLayer) -> None:
    """Adding twice is once, discarding ends it, discarding a stranger is no error."""
    inside, outside = await layer.new_channel(), await layer.new_channel("prefix")
    assert outside.startswith("prefix.")
    await layer.group_add("g", inside)
    await layer.group_add("g", inside)
    await layer.group_add("g", outside)
    await layer.group_discard("g", outside)
    await layer.group_discard("g", outside)
    await layer.group_send("g", {"type": "x"})
    assert await layer.receive(inside) == {"type": "x"}
    for channel in (inside, outside):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await layer.receive(channel)


async def test_each_member_gets_its_own_copy(layer: ShardedChannelLayer) -> None:
    """One receiver that changes its message changes nobody else's, nor the sender's."""
    channels = [await layer.new_channel() for _ in range(2)]
    for channel in channels:
        await layer.group_add("g", channel)
    message = {"type": "x", "list": [1]}
    await layer.group_send("g", message)
    first = await layer.receive(channels[0])
    first["list"].append(2)
    assert await layer.receive(channels[1]) == message == {"type": "x", "list": [1]}


async def test_normal_channel_gives_each_message_to_one_receiver(
    layer: ShardedChannelLayer,
) -> None:
    """Many receivers share the work of one channel."""
    receivers = [asyncio.create_task(layer.receive("work")) for _ in range(3)]
    for number in range(3):
        await layer.send("work", {"type": "x", "n": number})
    received = await asyncio.wait_for(asyncio.gather(*receivers), PATIENCE)
    assert sorted(message["n"] for message in received) == [0, 1, 2]


async def test_cancelled_receive_loses_nothing(layer: ShardedChannelLayer) -> None:
    """Receives that are cancelled at every turn of the loop leave the message in place."""
    channel = await layer.new_channel()
    for turns in range(12):
        receiving = asyncio.create_task(layer.receive(channel))
        for _ in range(turns):
            await asyncio.sleep(0)
        await layer.send(channel, {"type": "x", "n": turns})
        for _ in range(turns):
            await asyncio.sleep(0)
        receiving.cancel()
        try:
            message = await receiving
        except asyncio.CancelledError:
            message = await asyncio.wait_for(layer.receive(channel), PATIENCE)
        assert message["n"] == turns


async def test_too_large_message_is_refused(layer: ShardedChannelLayer) -> None:
    """A message past 1 MiB says how large it is and what the limit is; 1 MiB passes."""
    with pytest.raises(MessageTooLarge, match="limit is 1,048,576 bytes") as caught:
        await layer.publish("room", b"x" * 1_048_577)
    assert (caught.value.size, caught.value.limit) == (1_048_577, 1_048_576)
    assert await layer.publish("room", b'"%b"' % (b"x" * 1_048_574)) is not None


async def test_publish_many_answers_in_order(layer: ShardedChannelLayer) -> None:
    """Each publication's position, whatever shard it went to; each room counts by itself."""
    items = [(f"room{number % 7}", b"%d" % number) for number in range(70)]
    positions = await layer.publish_many(items)
    offsets = [position.offset for position in positions if position is not None]
    assert offsets == [number // 7 + 1 for number in range(70)]
    assert [item.data for item in await layer.history("room3")] == [
        b"%d" % number for number in range(3, 70, 7)
    ]


async def test_flush_forgets_everything(layer: ShardedChannelLayer) -> None:
    """After a flush no message and no history is left."""
    await layer.send("somewhere", {"type": "x"})
    await layer.publish("room", b"1")
    await layer.flush()
    assert await layer.history("room") == []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await layer.receive("somewhere")


async def test_group_holds_channels_of_every_kind(layer: ShardedChannelLayer) -> None:
    """Channels of this process, of another one and normal ones all get a group's messages."""
    other = ShardedChannelLayer(hosts=list(layer.options.hosts))
    try:
        here, there = await layer.new_channel(), await other.new_channel()
        for channel in (here, there, "normal"):
            await layer.group_add("g", channel)
        await layer.group_send("g", {"type": "x", "n": 1})
        assert await layer.receive(here) == {"type": "x", "n": 1}
        assert await asyncio.wait_for(other.receive(there), PATIENCE) == {"type": "x", "n": 1}
        assert await asyncio.wait_for(other.receive("normal"), PATIENCE) == {"type": "x", "n": 1}
        for channel in (there, "normal"):
            await layer.group_discard("g", channel)
        await layer.group_send("g", {"type": "x", "n": 2})
        assert await layer.receive(here) == {"type": "x", "n": 2}
        for channel in (there, "normal"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await other.receive(channel)
    finally:
        await other.close()


async def test_channel_of_a_dead_process_is_ignored(layer: ShardedChannelLayer) -> None:
    """Adding a channel whose node has no lease is no error, and nobody is told."""
    await layer.group_add("g", "specific.0123456789abcdef!1")
    await layer.group_send("g", {"type": "x"})
    assert (await layer.room_info("g")).nodes == {}


async def test_membership_expires(layer: ShardedChannelLayer) -> None:
    """After `group_expiry` a channel is no member any more, of either kind."""
    brief = ShardedChannelLayer(hosts=list(layer.options.hosts), group_expiry=0.05)
    try:
        channel = await brief.new_channel()
        await brief.group_add("g", channel)
        await brief.group_add("g", "normal")
        await asyncio.sleep(0.06)  # the time that is tested
        await brief.group_send("g", {"type": "x"})
        for name in (channel, "normal"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await brief.receive(name)
    finally:
        await brief.close()


def test_unknown_option_is_an_error_at_start() -> None:
    """A misspelt key of CONFIG stops the process, naming the keys there are."""
    with pytest.raises(ConfigurationError, match="no key 'shard'"):
        ShardedChannelLayer(shard=3)


def connections(server: EmbeddedValkey) -> set[str]:
    """Return the ids of the connections that layers have to a server now."""
    with Redis.from_url(server.url) as redis:
        return {entry["id"] for entry in redis.client_list() if entry["name"] == "shardlayer"}


def test_views_in_many_threads_share_one_connection(redis_server: EmbeddedValkey) -> None:
    """async_to_sync from 16 threads goes through one background loop and one connection."""
    before = connections(redis_server)
    layer = ShardedChannelLayer(hosts=[redis_server.url])
    publish = async_to_sync(layer.publish)
    with ThreadPoolExecutor(16) as pool:
        positions = list(pool.map(lambda number: publish("room", b"%d" % number), range(200)))
    assert sorted(position.offset for position in positions if position) == list(range(1, 201))
    assert layer.stats()["batches"] < 200
    assert len(connections(redis_server) - before) == 1
    async_to_sync(layer.close)()
    assert not connections(redis_server) - before


def test_forgotten_layer_takes_its_thread_along(redis_server: EmbeddedValkey) -> None:
    """A layer that nobody holds (settings changed in a test) ends its background thread."""
    threads = set(threading.enumerate())
    layer = ShardedChannelLayer(hosts=[redis_server.url])
    async_to_sync(layer.publish)("room", b"1")
    started = set(threading.enumerate()) - threads  # with one of asgiref's
    (thread,) = (thread for thread in started if thread.name == "shardlayer")
    del layer  # the collector is not needed: it may run rarely
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_server_process_keeps_two_connections(redis_server: EmbeddedValkey) -> None:
    """32 shards on one server cost a loop with members two connections."""

    before = connections(redis_server)

    async def serve() -> set[str]:
        layer = ShardedChannelLayer(hosts=[redis_server.url])
        channel = await layer.new_channel()
        for number in range(40):
            await layer.group_add(f"g{number}", channel)
            await layer.group_send(f"g{number}", {"type": "x"})
        return connections(redis_server) - before

    assert len(asyncio.run(serve())) == 2


def test_loop_that_ends_takes_its_connections_along(redis_server: EmbeddedValkey) -> None:
    """A loop per test, without close(): no connection, no task and no warning is left."""
    before = connections(redis_server)
    layer = ShardedChannelLayer(hosts=[redis_server.url])

    async def use() -> None:
        channel = await layer.new_channel()
        await layer.group_add("g", channel)
        await layer.group_send("g", {"type": "x"})
        assert await layer.receive(channel) == {"type": "x"}

    for _ in range(20):
        asyncio.run(use())
    assert not connections(redis_server) - before
    assert layer.stats() == {}


FORK = """
import asyncio, os, sys
from asgiref.sync import async_to_sync
from shardlayer.layer import ShardedChannelLayer

layer = ShardedChannelLayer(hosts=[sys.argv[1]])
publish = async_to_sync(layer.publish)
publish("room", b"1")
child = os.fork()
position = publish("room", b"2")
if child == 0:
    os._exit(0)
_, status = os.waitpid(child, 0)
publish("room", b"3")
print(os.waitstatus_to_exitcode(status), async_to_sync(layer.room_info)("room").offset)
"""


def test_forked_child_opens_its_own_connection(redis_server: EmbeddedValkey) -> None:
    """After a fork parent and child both publish; neither answer is mixed up."""
    ended = subprocess.run(
        [sys.executable, "-c", FORK, redis_server.url],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONDEVMODE": "0"},
    )
    assert ended.stdout.split() == ["0", "4"], ended.stderr
    assert "Traceback" not in ended.stderr


async def test_inspection_shows_the_rooms(layer: ShardedChannelLayer) -> None:
    """What the admin shows: rooms with shard, members, offset and history."""
    position = await layer.publish("room", b"1")
    assert isinstance(position, Position)
    channel = await layer.new_channel()
    await layer.group_add("room", channel)
    info = await layer.room_info("room")
    assert info.shard == layer.shard_of("room")
    assert (info.members, info.offset, info.history_length) == (1, 1, 1)
    assert info in (await layer.scan_rooms(0))[1]
    assert list(await layer.ping()) == layer.servers()
