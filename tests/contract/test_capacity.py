"""How many messages a channel holds ("Capacity" in the channel layer specification)."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any
from uuid import uuid4

import pytest
from channels.exceptions import ChannelFull

from shardlayer.core.exceptions import ConfigurationError
from shardlayer.layer import ShardedChannelLayer
from tests.contract.conftest import MakeLayer
from tests.contract.messages import EXPIRY, groups_beside, message, receive
from tests.contract.places import MemoryPlace, Place
from tests.waiting import until


async def fill(layer: ShardedChannelLayer, channel: str) -> int:
    """Send to a channel until it is full; return how many messages it took."""
    for number in range(1_000):
        try:
            await layer.send(channel, message(number))
        except ChannelFull:
            return number
    raise AssertionError


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
    (group,) = groups_beside(layer, channel, 1)
    await layer.group_add(group, channel)
    await layer.send(channel, message(0))
    for number in (1, 2, 3):
        await layer.group_send(group, message(number))
    await until(lambda: layer.stats()["missed_messages"] == 1)
    assert [await receive(layer, channel) for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("local", [False, True])
async def test_group_messages_count_for_what_is_sent_too(
    make_layer: MakeLayer, local: bool
) -> None:
    """A channel that a group has filled is full for whoever sends, until something is received."""
    here, there = make_layer(capacity=3), make_layer(capacity=3)
    channel = await here.new_channel() if local else "tasks"
    await here.group_add("g", channel)
    node = await here.node()
    for number in range(4):
        await there.group_send("g", message(number))
    missing = here if local else there
    await until(lambda: missing.stats()["missed_messages"] == 1)
    await until(lambda: node.mailboxes.is_told)
    for layer in (here, there):
        with pytest.raises(ChannelFull):
            await layer.send(channel, message())
    assert await receive(here, channel) == 0
    await until(lambda: node.mailboxes.is_told)
    await there.send(channel, message(4))
    with pytest.raises(ChannelFull):
        await here.send(channel, message())
    assert [await receive(here, channel) for _ in range(3)] == [1, 2, 4]


async def test_group_messages_on_their_way_count(make_layer: MakeLayer, place: Place) -> None:
    """Of four that were sent before anything was received a channel for three gets three.

    In memory at every moment. Through Redis the fourth may still be on its way when the first are
    received, and then has its place: docs/contract.md says so.
    """
    layer = make_layer(capacity=3)
    for turn in range(50):
        channel = await layer.new_channel()
        group = f"g{turn}"
        await layer.group_add(group, channel)
        for number in range(4):
            await layer.group_send(group, message(number))
        assert [await receive(layer, channel) for _ in range(3)] == [0, 1, 2]
        await layer.send(channel, message("end"))
        rest = [await receive(layer, channel)]
        if isinstance(place, MemoryPlace):
            assert rest == ["end"]
        else:
            assert rest in (["end"], [3])
    if isinstance(place, MemoryPlace):
        assert layer.stats()["missed_messages"] == 50


async def test_memory_counts_group_messages_at_every_moment() -> None:
    """What a group was sent fills a channel at once, and what is received makes room at once."""
    layer = ShardedChannelLayer(hosts=[f"memory://{uuid4().hex}"], capacity=30)
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    for number in range(30):
        await layer.group_send("g", message(number))
    for number in range(30):
        with pytest.raises(ChannelFull):
            await layer.send(channel, message())
        with pytest.raises(ChannelFull):
            await asyncio.to_thread(layer.send_sync, channel, message())
        assert await receive(layer, channel) == number
        await layer.send(channel, message(30 + number))
    assert layer.stats()["missed_messages"] == 0
    await layer.close()


@pytest.mark.parametrize("local", [False, True])
async def test_limits_that_are_set_later(make_layer: MakeLayer, local: bool) -> None:
    """They hold from then on, for what is sent and for what a group is sent."""
    layer = make_layer()
    channel = await layer.new_channel() if local else "tasks"
    await layer.group_add("g", channel)
    layer.capacity = 2
    assert await fill(layer, channel) == 2
    layer.capacity = 3
    await layer.group_send("g", message("of the group"))
    await layer.group_send("g", message("too many"))
    await until(lambda: layer.stats()["missed_messages"] == 1)
    assert [await receive(layer, channel) for _ in range(3)] == [0, 1, "of the group"]
    layer.channel_capacity = layer.compile_capacities({"*": 1})
    assert await fill(layer, channel) == 1
    assert await receive(layer, channel) == 0
    layer.channel_capacity = []
    layer.expiry = EXPIRY
    await layer.send(channel, message("old"))
    await layer.group_send("g", message("old"))
    await asyncio.sleep(3 * EXPIRY)
    layer.expiry = 60
    await layer.send(channel, message("new"))
    assert await receive(layer, channel) == "new"
    layer.group_expiry = 0.05
    await layer.group_add("g", channel)
    await asyncio.sleep(0.2)
    await layer.group_send("g", message("to nobody"))
    await layer.send(channel, message("last"))
    assert await receive(layer, channel) == "last"


async def test_limit_that_is_none_is_refused_when_it_is_set(layer: ShardedChannelLayer) -> None:
    """As it is in CONFIG; the one before stays."""
    with pytest.raises(ConfigurationError, match="expiry is 0"):
        layer.expiry = 0
    assert layer.expiry == layer.options.expiry > 0


async def test_group_messages_that_expire_make_room_for_what_is_sent(make_layer: MakeLayer) -> None:
    """Nobody receives: what a group has filled can be sent to again after `expiry`."""
    layer = make_layer(capacity=2, expiry=4.0)  # a busy machine fills it in that time
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    node = await layer.node()
    for number in range(2):
        await layer.group_send("g", message(number))
    await until(lambda: len(node.mailboxes.open(channel)._line) == 2)  # both, not only the first
    await until(lambda: node.mailboxes.is_told)
    with pytest.raises(ChannelFull):
        await layer.send(channel, message())

    async def has_room() -> bool:
        try:
            await layer.send(channel, message("new"))
        except ChannelFull:
            return False
        return True

    await until(has_room)
    received = [await receive(layer, channel)]
    if received == [1]:  # the first had made room before the second expired
        received.append(await receive(layer, channel))
    assert received in (["new"], [1, "new"])


async def test_readers_who_keep_up_cost_no_calls(make_layer: MakeLayer) -> None:
    """How full a channel is is told in steps: a group's messages that are read at once are not."""
    layer = make_layer()
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    node = await layer.node()
    told = []
    hold = node._backend.hold

    async def spy(*arguments: Any) -> None:
        told.append(arguments)
        await hold(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node._backend, "hold", spy)
        for number in range(50):
            await layer.group_send("g", message(number))
            assert await receive(layer, channel) == number
        assert told == []
        for number in range(40):
            await layer.group_send("g", message(number))
        await until(lambda: told)
        await until(lambda: node.mailboxes.is_told)
    assert len(told) <= 4  # once in ten messages
