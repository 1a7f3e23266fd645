"""What the channel layer specification asks for, on every place that the layer runs on.

Named after its sections: https://channels.readthedocs.io/en/stable/channel_layer_spec.html.
docs/contract.md says which test covers which case of channels_redis and of Channels.

That something does not arrive is shown by what is sent after it, which arrives first.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import re
from typing import Any

import pytest
from channels.exceptions import ChannelFull

from shardlayer.layer import ShardedChannelLayer
from tests.contract.conftest import MakeLayer
from tests.waiting import until

PATIENCE = 10  # seconds for what is to arrive
EXPIRY = 0.6  # seconds

Message = dict[str, Any]


def message(content: object = None) -> Message:
    return {"type": "test.message", "content": content}


async def receive(layer: ShardedChannelLayer, channel: str) -> object:
    """Return the content of a channel's next message."""
    received = await asyncio.wait_for(layer.receive(channel), PATIENCE)
    assert received["type"] == "test.message"
    return received["content"]


async def receive_until(layer: ShardedChannelLayer, channel: str, last: object) -> list[object]:
    """Return the contents of a channel's messages before the last one."""
    contents = []
    while (content := await receive(layer, channel)) != last:
        contents.append(content)
    return contents


def groups_beside(layer: ShardedChannelLayer, channel: str, count: int) -> list[str]:
    """Return groups on the channel's server: what two servers tell may cross on the way."""
    names = (f"g{number}" for number in itertools.count())
    shard = layer.shard_of(channel)
    return list(itertools.islice((name for name in names if layer.shard_of(name) == shard), count))


async def fill(layer: ShardedChannelLayer, channel: str) -> int:
    """Send to a channel until it is full; return how many messages it took."""
    for number in range(1_000):
        try:
            await layer.send(channel, message(number))
        except ChannelFull:
            return number
    raise AssertionError


# "Channels"


async def test_normal_channel_of_another_process(make_layer: MakeLayer) -> None:
    """What one process sends is received in another, before and while that one waits."""
    here, there = make_layer(), make_layer()
    await here.send("somewhere", message(1))
    assert await receive(there, "somewhere") == 1
    waiting = asyncio.create_task(receive(there, "somewhere"))
    await here.send("somewhere", message(2))
    assert await waiting == 2


async def test_process_local_channel(make_layer: MakeLayer) -> None:
    """A channel that one process made is sent to from there and from another one."""
    here, there = make_layer(), make_layer()
    channel = await here.new_channel("prefix")
    assert re.fullmatch(r"prefix\.[^.!]+![^.!]+", channel)
    for layer in (here, there):
        await layer.send(channel, message(1))
        assert await receive(here, channel) == 1


async def test_channel_names_are_new_whatever_the_seed(make_layer: MakeLayer) -> None:
    """Programs that seed `random` get different channels in every process nonetheless."""
    names = set()
    for layer in (make_layer(), make_layer()):
        for _ in range(2):
            random.seed(1)
            names.add(await layer.new_channel())
    assert len(names) == 4


@pytest.mark.parametrize("local", [False, True])
async def test_messages_keep_their_order(make_layer: MakeLayer, local: bool) -> None:
    """First in, first out for one writer and one reader, which waits now and then."""
    writer, reader = make_layer(), make_layer()
    channel = await reader.new_channel() if local else "tasks"
    reading = asyncio.create_task(receive_until(reader, channel, 59))
    for number in range(60):
        await writer.send(channel, message(number))
    assert await reading == list(range(59))


async def test_each_message_reaches_one_receiver(make_layer: MakeLayer) -> None:
    """Many receivers in two processes share a normal channel; none misses or gets one twice."""
    layers = [make_layer(), make_layer()]
    received: list[object] = []

    async def work(layer: ShardedChannelLayer) -> None:
        while True:
            received.append(await receive(layer, "work"))

    workers = [asyncio.create_task(work(layer)) for layer in layers for _ in range(5)]
    for number in range(80):
        await layers[number % 2].send("work", message(number))
    await until(lambda: len(received) >= 80)
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)
    assert sorted(received, key=str) == sorted(range(80), key=str)


# "Capacity"


@pytest.mark.parametrize("local", [False, True])
async def test_capacity_counts_what_all_processes_send(make_layer: MakeLayer, local: bool) -> None:
    """ChannelFull at the capacity, whoever sent, until something was received."""
    here, there = make_layer(capacity=3), make_layer(capacity=3)
    channel = await here.new_channel() if local else "tasks"
    for layer in (here, there, here):
        await layer.send(channel, message())
    for layer in (here, there):
        with pytest.raises(ChannelFull):
            await layer.send(channel, message())
    await receive(here, channel)
    await there.send(channel, message())


async def test_channels_may_have_their_own_capacity(make_layer: MakeLayer) -> None:
    """Globs and compiled patterns, of which the first that matches counts, as in Channels."""
    capacities = {
        "http.request": 2,
        "http.response!*": 3,
        re.compile(r"^websocket\.send\!.+"): 4,
        "websocket.*": 1,
    }
    layer = make_layer(capacity=5, channel_capacity=capacities)
    names = ("http.request", "http.response!x", "websocket.send!x", "websocket.other", "tasks")
    assert [await fill(layer, name) for name in names] == [2, 3, 4, 1, 5]


async def test_group_send_never_raises_channel_full(
    layer: ShardedChannelLayer, caplog: pytest.LogCaptureFixture
) -> None:
    """A full member misses the message, which is counted and logged once with the group's name."""
    full, roomy = await layer.new_channel("full"), await layer.new_channel("roomy")
    for channel in (full, roomy, "normal"):
        await layer.group_add("crowd", channel)
    received = []
    with caplog.at_level(logging.WARNING, logger="shardlayer"):
        for number in range(5):
            await layer.group_send("crowd", message(number))
            received.append(await receive(layer, roomy))
        await until(lambda: layer.stats()["missed_messages"] == 4)
    assert received == [0, 1, 2, 3, 4]
    for channel in (full, "normal"):
        first_three = [await receive(layer, channel) for _ in range(3)]
        assert first_three == [0, 1, 2]
        await layer.send(channel, message("end"))
        assert await receive(layer, channel) == "end"
    logged = [record.getMessage() for record in caplog.records if "full" in record.getMessage()]
    assert all("crowd" in line for line in logged)
    assert 1 <= len(logged) <= 2  # once for each way of being a member
    assert layer.stats()["missed_messages"] == 4


async def test_sent_messages_count_for_a_group_too(layer: ShardedChannelLayer) -> None:
    """A channel holds as many messages as its capacity, whether sent to it or to its group."""
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    await layer.send(channel, message(0))
    for number in (1, 2, 3):
        await layer.group_send("g", message(number))
    await until(lambda: layer.stats()["missed_messages"] == 1)
    assert [await receive(layer, channel) for _ in range(3)] == [0, 1, 2]


# "Channel Semantics": order, expiry


async def test_sends_and_group_sends_arrive_as_written(make_layer: MakeLayer) -> None:
    """One writer's messages to a channel of another process, direct and through three groups."""
    writer, reader = make_layer(), make_layer()
    channel = await reader.new_channel()
    groups = groups_beside(writer, channel, 3)
    for group in groups:
        await reader.group_add(group, channel)
    reading = asyncio.create_task(receive_until(reader, channel, 59))
    for number in range(60):
        if number % 4 == 3:
            await writer.send(channel, message(number))
        else:
            await writer.group_send(groups[number % 4], message(number))
    assert await reading == list(range(59))


@pytest.mark.parametrize("local", [False, True])
async def test_old_messages_are_not_delivered(make_layer: MakeLayer, local: bool) -> None:
    """A message that waited longer than `expiry` goes, alone, and makes room."""
    layer = make_layer(expiry=EXPIRY, capacity=2)
    channel = await layer.new_channel() if local else "tasks"
    await layer.send(channel, message("connections are open"))
    await receive(layer, channel)
    await layer.send(channel, message("old"))
    await asyncio.sleep(EXPIRY / 2)
    await layer.send(channel, message("young"))
    await asyncio.sleep(EXPIRY / 2 + 0.05)
    await layer.send(channel, message("new"))
    assert [await receive(layer, channel) for _ in range(2)] == ["young", "new"]


async def test_old_group_messages_are_not_delivered(make_layer: MakeLayer) -> None:
    """A group's message expires like one that was sent to the channel, and makes room."""
    layer = make_layer(expiry=EXPIRY, capacity=2)
    channels = [await layer.new_channel(), "normal"]
    for channel in channels:
        await layer.group_add("g", channel)
    await layer.group_send("g", message("old"))
    await asyncio.sleep(EXPIRY / 2)
    await layer.group_send("g", message("young"))
    await asyncio.sleep(EXPIRY / 2 + 0.05)
    await layer.group_send("g", message("new"))
    for channel in channels:
        assert [await receive(layer, channel) for _ in range(2)] == ["young", "new"]


async def test_expired_messages_leave_the_order_alone(make_layer: MakeLayer) -> None:
    """What follows an expired message in the queue does not overtake what a group got before."""
    layer = make_layer(expiry=EXPIRY)
    channel = await layer.new_channel()
    (group,) = groups_beside(layer, channel, 1)
    await layer.group_add(group, channel)
    await layer.send(channel, message("old"))
    await asyncio.sleep(EXPIRY + 0.05)
    await layer.group_send(group, message(1))
    await layer.send(channel, message(2))
    assert [await receive(layer, channel) for _ in range(2)] == [1, 2]


# "Groups"


async def test_group_holds_channels_of_any_kind(make_layer: MakeLayer) -> None:
    """Channels of this process, of another one and normal ones, added and discarded from here."""
    here, there = make_layer(), make_layer()
    channels = {await here.new_channel(): here, await there.new_channel(): there, "normal": there}
    for channel in channels:
        await here.group_add("g", channel)
        await here.group_add("g", channel)  # a member is a member once
    await here.group_send("g", message(1))
    for channel in channels:
        await here.group_discard("g", channel)
        await here.group_discard("g", channel)  # no error
    await here.group_send("g", message(2))
    for channel, layer in channels.items():
        await here.send(channel, message(3))
        assert [await receive(layer, channel) for _ in range(2)] == [1, 3]


async def test_discarding_what_was_never_added(layer: ShardedChannelLayer) -> None:
    """group_discard of a stranger, of whichever kind, is no error."""
    for channel in (await layer.new_channel(), "specific.0123456789abcdef!1", "normal"):
        await layer.group_discard("g", channel)


async def test_group_of_many_channels(make_layer: MakeLayer) -> None:
    """A hundred members with one prefix each get the message, in two processes."""
    here, there = make_layer(), make_layer()
    channels = [(layer, await layer.new_channel("same")) for layer in (here, there) * 50]
    await asyncio.gather(*(layer.group_add("g", channel) for layer, channel in channels))
    await here.group_send("g", message(1))
    received = await asyncio.gather(*(receive(layer, channel) for layer, channel in channels))
    assert received == [1] * 100


async def test_many_groups_side_by_side(make_layer: MakeLayer) -> None:
    """200 group_sends at once, to groups on all shards, all arrive."""
    layer = make_layer(capacity=200)
    channel = await layer.new_channel()
    groups = [f"g{number}" for number in range(50)]
    await asyncio.gather(*(layer.group_add(group, channel) for group in groups))
    await asyncio.gather(
        *(layer.group_send(groups[number % 50], message(number)) for number in range(200))
    )
    received = [await receive(layer, channel) for _ in range(200)]
    assert sorted(received, key=str) == sorted(range(200), key=str)


# "Persistence"


async def test_membership_ends_after_group_expiry(make_layer: MakeLayer) -> None:
    """A membership of either kind ends, unless it was added again meanwhile."""
    layer = make_layer(group_expiry=EXPIRY)
    assert layer.group_expiry == EXPIRY
    channels = [await layer.new_channel(), "normal"]
    for channel in channels:
        await layer.group_add("prolonged", channel)
        await layer.group_add("brief", channel)
    await asyncio.sleep(EXPIRY / 2)
    for channel in channels:
        await layer.group_add("prolonged", channel)
    await asyncio.sleep(EXPIRY / 2 + 0.05)
    await layer.group_send("brief", message("too late"))
    await layer.group_send("prolonged", message("in time"))
    for channel in channels:
        assert await receive(layer, channel) == "in time"


# "Flush"


async def test_flush_leaves_no_messages_and_no_groups(make_layer: MakeLayer) -> None:
    """After a flush what waited is gone and nobody is in a group, here and elsewhere."""
    here, there = make_layer(), make_layer()
    channels = {await here.new_channel(): here, await there.new_channel(): there, "normal": here}
    for channel, layer in channels.items():
        await layer.group_add("g", channel)
        await layer.send(channel, message("sent"))
    await here.group_send("g", message("for the group"))
    await here.flush()
    await here.group_send("g", message("for nobody"))
    for channel, layer in channels.items():
        for content in ("after", "end"):
            await here.send(channel, message(content))
        assert await receive_until(layer, channel, "end") == ["after"]


async def test_flush_leaves_receivers_waiting(make_layer: MakeLayer) -> None:
    """Who waits while another process flushes gets what is sent, and is added, after it."""
    here, there = make_layer(), make_layer()
    channel = await there.new_channel()
    await there.group_add("g", channel)
    waiting = [asyncio.create_task(receive(there, name)) for name in ("tasks", channel)]
    await asyncio.sleep(0.05)  # they wait
    await here.flush()
    await here.group_add("g", channel)
    await here.group_send("g", message("group"))
    await here.send("tasks", message("task"))
    assert await asyncio.gather(*waiting) == ["task", "group"]


async def test_flush_deletes_only_its_own(make_layer: MakeLayer) -> None:
    """A layer with another prefix keeps its messages and groups."""
    ours, theirs = make_layer(prefix="ours"), make_layer(prefix="theirs")
    channel = await theirs.new_channel()
    await theirs.group_add("g", channel)
    await theirs.send("tasks", message(1))
    await ours.send("tasks", message(2))
    await ours.flush()
    await theirs.group_send("g", message(3))
    assert await receive(theirs, "tasks") == 1
    assert await receive(theirs, channel) == 3
    await ours.send("tasks", message(4))
    assert await receive(ours, "tasks") == 4


# What applications call besides


async def test_closed_layer_can_be_used_again(make_layer: MakeLayer) -> None:
    """close() and close_pools() end connections, not the layer; normal channels keep all."""
    layer = make_layer()
    await layer.send("tasks", message(1))
    await layer.close()
    assert await receive(layer, "tasks") == 1
    channel = await layer.new_channel()
    await layer.send("tasks", message(2))
    await layer.close_pools()
    await layer.close_pools()  # nothing to close is no error
    assert await receive(layer, "tasks") == 2
    assert await layer.new_channel() != channel
