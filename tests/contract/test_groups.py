"""Groups, how long they last and how they are emptied ("Groups", "Persistence", "Flush").

The sections are those of the channel layer specification. That something does not arrive is shown
by what is sent after it, which arrives first.
"""

from __future__ import annotations

import asyncio

import pytest

from shardlayer.layer import ShardedChannelLayer
from tests.contract.conftest import MakeLayer
from tests.contract.messages import EXPIRY, have_arrive_late, message, receive, receive_until
from tests.waiting import until


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


async def test_discarded_after_it_was_sent_something(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a group was sent before its member was discarded reaches it, however late it is."""
    layer = make_layer()
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    node = await layer.node()
    have_arrive_late(node, 0.1, monkeypatch)
    await layer.group_send("g", message(1))
    await layer.group_discard("g", channel)
    await layer.group_send("g", message(2))
    assert await receive(layer, channel) == 1
    await until(lambda: node.members("g") == 0)
    await layer.send(channel, message(3))
    assert await receive(layer, channel) == 3


async def test_discarding_what_was_never_added(layer: ShardedChannelLayer) -> None:
    """group_discard of a stranger, of whichever kind, is no error."""
    for channel in (await layer.new_channel(), "specific.0123456789abcdef!1", "normal"):
        await layer.group_discard("g", channel)


@pytest.mark.parametrize("cancelled", [(0,), (1,), (0, 1), (1, 0)])
async def test_cancelled_add_takes_back_only_itself(
    layer: ShardedChannelLayer, cancelled: tuple[int, ...]
) -> None:
    """Another call that adds the channel at the same time goes on; with none it is no member."""
    channel = await layer.new_channel()
    adding = [asyncio.create_task(layer.group_add("g", channel)) for _ in range(2)]
    await asyncio.sleep(0)  # both have begun
    for number in cancelled:
        adding[number].cancel()
    await asyncio.wait(adding)
    assert [task.cancelled() for task in adding].count(True) == len(cancelled)
    await layer.group_send("g", message(1))
    assert await layer.group_members("g") == ([channel] if len(cancelled) == 1 else [])
    await layer.send(channel, message(2))
    expected = [1, 2] if len(cancelled) == 1 else [2]
    assert [await receive(layer, channel) for _ in expected] == expected


async def test_group_of_many_channels(make_layer: MakeLayer) -> None:
    """A hundred members with one prefix each get the message, in two processes."""
    here, there = make_layer(), make_layer()
    channels = [(layer, await layer.new_channel("same")) for layer in (here, there) * 50]
    await asyncio.gather(*(layer.group_add("g", channel) for layer, channel in channels))
    await here.group_send("g", message(1))
    received = await asyncio.gather(*(receive(layer, channel) for layer, channel in channels))
    assert received == [1] * 100


async def test_group_of_many_normal_channels(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent to side by side, a few at a time: each has what was sent to the group, in its order."""
    monkeypatch.setattr("shardlayer.layer.engine.APPENDS", 7)
    layer = make_layer()
    channels = [f"tasks.{number}" for number in range(60)]
    await asyncio.gather(*(layer.group_add("g", channel) for channel in channels))
    await asyncio.gather(*(layer.group_send("g", message(number)) for number in range(5)))
    for channel in channels:
        assert [await receive(layer, channel) for _ in range(5)] == [0, 1, 2, 3, 4]


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
    layer.group_expiry = 60  # from now on
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
