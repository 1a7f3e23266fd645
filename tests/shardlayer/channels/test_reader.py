"""A channel's reader hands out what is here and fetches what is not, in the channel's order."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from shardlayer.channels.mailbox import Mailbox
from shardlayer.channels.reader import ChannelReader
from shardlayer.layer import ShardedChannelLayer
from tests.waiting import until


class Alarm:
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1


@pytest.fixture(params=["memory", "redis"])
async def layer(request: pytest.FixtureRequest) -> AsyncIterator[ShardedChannelLayer]:
    """A layer on each kind of backend."""
    url = f"memory://{uuid4().hex}"
    if request.param == "redis":
        url = request.getfixturevalue("redis_server").url
    made = ShardedChannelLayer(hosts=[url])
    yield made
    await made.close()


async def read(reader: ChannelReader, count: int) -> list[int]:
    """Return the numbers of the next messages."""
    numbers: list[int] = []

    def take() -> bool:
        while len(numbers) < count:
            message = reader.take()
            if message is None:
                return False
            numbers.append(message["number"])
        return True

    await until(take)
    return numbers


async def test_sent_and_published_messages_keep_their_order(layer: ShardedChannelLayer) -> None:
    """What one writer sends to the channel and to its groups is read as written."""
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    reader = await layer.channel_reader(channel, Alarm())
    for number in range(0, 30, 3):
        await layer.group_send("g", {"type": "x", "number": number})
        await layer.send(channel, {"type": "x", "number": number + 1})
        await layer.send(channel, {"type": "x", "number": number + 2})
    assert await read(reader, 30) == list(range(30))
    assert reader.take() is None
    reader.close()
    await reader.wait_closed()


async def test_owner_is_told_of_every_kind_of_message(layer: ShardedChannelLayer) -> None:
    """`notify` is called when a group's message is here and when a sent one was fetched."""
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    alarm = Alarm()
    reader = await layer.channel_reader(channel, alarm)
    await layer.group_send("g", {"type": "x", "number": 1})
    await until(lambda: alarm.calls == 1)
    assert reader.take() == {"type": "x", "number": 1}
    await layer.send(channel, {"type": "x", "number": 2})
    await until(lambda: alarm.calls == 2)
    assert reader.take() is None, "it was told of, but waits to be fetched"
    await until(lambda: alarm.calls == 3)
    assert reader.take() == {"type": "x", "number": 2}
    reader.close()
    await reader.wait_closed()


async def test_group_messages_wait_behind_one_that_is_fetched(layer: ShardedChannelLayer) -> None:
    """While a message is being fetched, what came after it is not handed out."""
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    alarm = Alarm()
    reader = await layer.channel_reader(channel, alarm)
    await layer.send(channel, {"type": "x", "number": 1})
    await until(lambda: alarm.calls == 1)
    assert reader.take() is None
    await layer.group_send("g", {"type": "x", "number": 2})
    assert await read(reader, 2) == [1, 2]
    reader.close()
    await reader.wait_closed()


async def test_undecodable_message_is_dropped_and_counted() -> None:
    """Garbage in a channel is skipped: the messages around it are handed out."""
    layer = ShardedChannelLayer(hosts=[f"memory://{uuid4().hex}"])
    channel = await layer.new_channel()
    node = await layer.node()
    reader = await layer.channel_reader(channel, Alarm())
    await layer.group_add("g", channel)
    await layer.group_send("g", {"type": "x", "number": 1})
    await until(lambda: not node.mailboxes.open(channel).is_empty)
    node.mailboxes.open(channel).deliver(b"\xc1")
    await layer.group_send("g", {"type": "x", "number": 2})
    assert await read(reader, 2) == [1, 2]
    assert layer.stats()["undecodable_messages"] == 1
    reader.close()
    await layer.close()


async def test_closed_reader_leaves_nothing_behind(layer: ShardedChannelLayer) -> None:
    """Closing ends the fetch that is under way, stops `notify` and gives the mailbox up."""
    channel = await layer.new_channel()
    node = await layer.node()
    alarm = Alarm()
    reader = await layer.channel_reader(channel, alarm)
    await layer.send(channel, {"type": "x"})
    await until(lambda: alarm.calls == 1)
    assert reader.take() is None
    fetches = [task for task in asyncio.all_tasks() if task.get_name() == f"message of {channel}"]
    reader.close()
    await reader.wait_closed()
    (fetch,) = fetches
    assert fetch.cancelled()
    calls = alarm.calls
    mailbox = node.mailboxes.open(channel)
    mailbox.deliver(b"")
    assert alarm.calls == calls


async def test_mailbox_that_waits_is_given_up() -> None:
    """A closed reader's channel is forgotten with the messages that wait in it."""
    layer = ShardedChannelLayer(hosts=[f"memory://{uuid4().hex}"])
    channel = await layer.new_channel()
    node = await layer.node()
    reader = await layer.channel_reader(channel, Alarm())
    mailbox = weakref.ref(node.mailboxes.open(channel))
    node.mailboxes.open(channel).deliver(b"never read")
    reader.close()
    del reader
    assert mailbox() is None
    await layer.close()


def test_take_hands_out_only_what_is_here() -> None:
    """`Mailbox.take` returns messages in order, and None before one that must be fetched."""

    async def fetch() -> None:
        raise AssertionError("nothing is fetched by take")

    mailbox = Mailbox("c", capacity=2, expiry=60, fetch=fetch, is_new=True)
    assert mailbox.take() is None
    mailbox.deliver(b"1")
    mailbox.deliver(b"2")
    mailbox.deliver(b"missed")
    assert [mailbox.take(), mailbox.take(), mailbox.take()] == [b"1", b"2", None]
    mailbox.deliver(b"3")
    assert mailbox.take() == b"3", "what was taken makes room"
    mailbox.wake()
    mailbox.deliver(b"4")
    assert mailbox.take() is None
    assert not mailbox.is_empty
