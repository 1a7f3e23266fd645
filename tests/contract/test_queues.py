"""What queues promise, on every place: messages of channels, and channels in groups."""

from __future__ import annotations

from shardlayer.core import wire
from shardlayer.core.types import NodeId
from tests.contract.asking import (
    HERE,
    SHARD,
    THERE,
    BrokerWithQueues,
    join,
    listen,
    outgoing,
    publish,
    take,
)
from tests.contract.conftest import MakeQueues
from tests.waiting import until


async def test_channel_is_a_queue(queues: BrokerWithQueues) -> None:
    """Messages of a channel come out as they went in, once each."""
    for number in range(3):
        assert await queues.send(SHARD, "tasks", b"%d" % number, capacity=10, reader="")
    received = [await take(queues, "tasks") for _ in range(4)]
    assert received == [b"0", b"1", b"2", None]


async def test_channel_has_a_capacity(queues: BrokerWithQueues) -> None:
    """A full channel refuses, and takes again once something was received."""
    assert await queues.send(SHARD, "tasks", b"1", capacity=1, reader="")
    assert not await queues.send(SHARD, "tasks", b"2", capacity=1, reader="")
    assert await take(queues, "tasks") == b"1"
    assert await queues.send(SHARD, "tasks", b"3", capacity=1, reader="")


async def test_message_expires(make_queues: MakeQueues) -> None:
    """An old message is not received, and makes room in a full channel."""
    brief, queues = make_queues(expiry=0.05), make_queues()
    assert await brief.send(SHARD, "tasks", b"old", capacity=1, reader="")
    await until(lambda: queues.send(SHARD, "tasks", b"new", capacity=1, reader=""))
    assert await take(queues, "tasks") == b"new"


async def test_reader_is_woken(queues: BrokerWithQueues) -> None:
    """A node hears of a message in its own channel and in a normal channel that it reads."""
    ear = await listen(queues, HERE)
    assert await queues.receive(SHARD, "tasks", reader=HERE) is None
    await queues.send(SHARD, "tasks", b"1", capacity=10, reader="")
    await queues.send(SHARD, "specific.here!1", b"2", capacity=10, reader=HERE)
    entries = await ear.wait_for(2)
    assert [(entry.kind, entry.name) for entry in entries] == [
        (wire.Kind.WAKE_UP, "tasks"),
        (wire.Kind.WAKE_UP, "specific.here!1"),
    ]


async def test_message_is_put_back_in_its_place(queues: BrokerWithQueues) -> None:
    """It is again the oldest, wakes who waits, keeps its expiry, and is taken when full, too."""
    ear = await listen(queues, HERE)
    assert await take(queues, "tasks") is None
    for message in (b"1", b"2"):
        await queues.send(SHARD, "tasks", message, capacity=2, reader="")
    queued = await queues.receive(SHARD, "tasks", reader=THERE)
    assert queued is not None
    await queues.send(SHARD, "tasks", b"3", capacity=2, reader="")
    await queues.restore(SHARD, "tasks", queued)
    assert [await take(queues, "tasks") for _ in range(4)] == [b"1", b"2", b"3", None]
    await queues.restore(SHARD, "tasks", queued)
    assert [entry.name for entry in await ear.wait_for(2)] == ["tasks"] * 2
    assert await take(queues, "tasks") == b"1"
    over = queued._replace(expires=queued.expires - 61_000)  # ms: the default expiry, and more
    await queues.restore(SHARD, "tasks", over)
    assert await take(queues, "tasks") is None


async def test_message_wakes_who_has_waited_longest(make_queues: MakeQueues) -> None:
    """Once, and one that waits; whoever can't be told is passed over."""
    here, there = make_queues(), make_queues()
    ears = [await listen(here, HERE), await listen(there, THERE)]
    for reader in (NodeId("gone"), HERE, THERE, HERE):
        assert await here.receive(SHARD, "tasks", reader=reader) is None
    await here.send(SHARD, "tasks", b"1", capacity=9, reader="")
    assert [entry.name for entry in await ears[0].wait_for(1)] == ["tasks"]
    await here.rouse(SHARD, "tasks")
    assert [entry.name for entry in await ears[1].wait_for(1)] == ["tasks"]
    assert await here.await_messages(SHARD, ["tasks", "none"], reader=HERE) == ["tasks"]
    assert await take(here, "tasks") == b"1"
    await here.rouse(SHARD, "tasks")  # for nothing
    await here.send(SHARD, "none", b"2", capacity=9, reader="")
    assert [entry.name for entry in await ears[0].wait_for(2)] == ["tasks", "none"]


async def test_messages_that_are_held_elsewhere_count(queues: BrokerWithQueues) -> None:
    """For as long as the receiver said, or until it says that there are none."""
    await queues.hold(SHARD, "specific.here!1", 2, 60.0)
    assert not await queues.send(SHARD, "specific.here!1", b"1", capacity=2, reader=HERE)
    await queues.hold(SHARD, "specific.here!1", 0, 60.0)
    assert await queues.send(SHARD, "specific.here!1", b"1", capacity=2, reader=HERE)
    await queues.hold(SHARD, "specific.here!1", 1, 0.05)
    await until(lambda: queues.send(SHARD, "specific.here!1", b"2", capacity=2, reader=HERE))


async def test_normal_channel_is_in_a_group_until_it_is_not(make_queues: MakeQueues) -> None:
    """Whoever publishes to the group learns of it, for `group_expiry` at most."""
    queues, brief = make_queues(), make_queues(group_expiry=0.1)
    await queues.attach(SHARD, "a", "tasks")
    await queues.attach(SHARD, "a", "others")
    await queues.detach(SHARD, "a", "others")
    numbers = iter(range(1, 10_000))

    async def members() -> list[str]:
        published = await publish(queues, outgoing("a", b"1"), number=next(numbers))
        return published.channels.get("a", [])

    async def others_are_gone() -> bool:
        return await members() == ["tasks"]

    assert await members() == ["tasks"]
    await brief.attach(SHARD, "a", "others")
    await until(others_are_gone)


async def test_node_is_told_which_of_its_channels_is_in_a_group(
    queues: BrokerWithQueues,
) -> None:
    """Added and discarded, in order; what another node is told it does not hear."""
    ear = await listen(queues, HERE)
    await join(queues, "any")
    for add in (True, False):
        assert await queues.enroll(SHARD, "a", "specific.here!1", node=HERE, add=add)
    assert await queues.enroll(SHARD, "a", "specific.gone!1", node="gone", add=True)
    entries = await ear.wait_for(2)
    assert [(entry.kind, entry.name, entry.payload) for entry in entries] == [
        (wire.Kind.ADD, "a", b"specific.here!1"),
        (wire.Kind.DISCARD, "a", b"specific.here!1"),
    ]
