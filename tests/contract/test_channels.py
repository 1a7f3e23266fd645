"""What the channel layer specification asks of channels, on every place that the layer runs on.

Named after its sections: https://channels.readthedocs.io/en/stable/channel_layer_spec.html.
test_capacity.py, test_groups.py, test_messages.py and test_receivers.py hold other sections, and
docs/contract.md says which test covers which case of channels_redis and of Channels.
"""

from __future__ import annotations

import asyncio
import random
import re

import pytest

from shardlayer.layer import ShardedChannelLayer
from tests.contract.conftest import MakeLayer
from tests.contract.messages import (
    EXPIRY,
    groups_beside,
    message,
    receive,
    receive_until,
)
from tests.waiting import until

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
    await layer.send(channel, message("old"))
    layer.expiry = 60  # from now on
    await layer.send(channel, message("young"))
    await asyncio.sleep(EXPIRY + 0.05)
    await layer.send(channel, message("new"))
    assert [await receive(layer, channel) for _ in range(2)] == ["young", "new"]


async def test_old_group_messages_are_not_delivered(make_layer: MakeLayer) -> None:
    """A group's message expires like one that was sent to the channel, and makes room."""
    expiry = 4.0  # seconds: a busy machine delivers, and looks, within them
    layer = make_layer(expiry=expiry, capacity=2)
    channels = [await layer.new_channel(), "normal"]
    for channel in channels:
        await layer.group_add("g", channel)
    mailbox = (await layer.node()).mailboxes.open(channels[0])
    await layer.group_send("g", message("old"))
    await until(lambda: not mailbox.is_empty)  # it expires by what holds when it arrives
    layer.expiry = 60  # from now on
    await layer.group_send("g", message("young"))
    await asyncio.sleep(expiry + 0.05)
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
    layer.expiry = 60  # from now on
    await layer.group_send(group, message(1))
    await layer.send(channel, message(2))
    assert [await receive(layer, channel) for _ in range(2)] == [1, 2]


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
