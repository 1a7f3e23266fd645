"""Channels that another process adds to a group or discards, and a channel's own process, in order.

That something does not arrive is shown by what is sent after it, which arrives first.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shardlayer.broker import values
from shardlayer.broker.interface import Queues
from shardlayer.core import wire
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.types import NodeId
from shardlayer.delivery.registration import Registration
from shardlayer.layer import ShardedChannelLayer
from shardlayer.layer.node import Node
from tests.contract.asking import HERE, SHARD, join, listen
from tests.contract.conftest import MakeBackend, MakeLayer, MakeQueues
from tests.contract.messages import have_arrive_late, message, receive
from tests.contract.places import Place
from tests.waiting import until

CHANNEL = "specific.here!1"
AWAY = 0.2  # seconds for which a batch is late
LATER = 1.0  # seconds: longer than a shard takes to tell its clock, in one of three tries


class Ear:
    """What a node hears, or does not hear while it is deaf.

    Attributes:
        is_deaf: Whether nothing reaches the node.
        orders: How many orders came, heard or not.
    """

    def __init__(self, node: Node, monkeypatch: pytest.MonkeyPatch, *, is_deaf: bool) -> None:
        self._arrived = node.arrived
        self.is_deaf = is_deaf
        self.orders = 0
        monkeypatch.setattr(node, "arrived", self._hear)

    def _hear(self, shard: int, batch: bytes) -> None:
        kinds = [kind for kind, *_ in wire.unpack_batch(batch)]
        if not self.is_deaf:
            self._arrived(shard, batch)
        self.orders += sum(kind in (wire.Kind.ADD, wire.Kind.DISCARD) for kind in kinds)

    async def come(self, count: int) -> None:
        """Wait until so many orders came."""
        await until(lambda: self.orders == count)


async def settled(node: Node, shard: int, queues: Queues) -> None:
    """Wait until a node has taken all orders of a shard."""

    async def are_taken() -> bool:
        return not await queues.orders(shard, node.id) and not node.orders._asking._running

    await until(are_taken)


async def test_node_that_can_not_hear_is_told_later(make_queues: MakeQueues) -> None:
    """What it was told is kept in order, the same once, until it says that it has taken it."""
    queues = make_queues()
    for group, add in (("a", True), ("b", True), ("a", False), ("a", True)):
        assert await queues.enroll(SHARD, group, CHANNEL, node=HERE, add=add)
    kept = await queues.orders(SHARD, HERE)
    assert [(order.group, order.channel, order.add) for order in kept] == [
        ("b", CHANNEL, True),
        ("a", CHANNEL, False),
        ("a", CHANNEL, True),
    ]
    assert await queues.orders(SHARD, NodeId("there")) == []
    assert await queues.orders(SHARD + 1, HERE) == []
    await queues.took(SHARD, HERE, [order.number for order in kept[:2]])
    assert await queues.orders(SHARD, HERE) == kept[2:]


async def test_what_is_heard_is_kept_until_it_was_taken(make_queues: MakeQueues) -> None:
    """The connection over which it comes may be lost with it. Numbers are never given again."""
    queues = make_queues()
    ear = await listen(queues, HERE)
    numbers: list[int] = []
    for heard in (1, 2):
        assert await queues.enroll(SHARD, "a", CHANNEL, node=HERE, add=False)
        entries = await ear.wait_for(heard)
        [order] = await queues.orders(SHARD, HERE)
        assert order.number == entries[-1].offset
        numbers.append(order.number)
        await queues.took(SHARD, HERE, [order.number])
    assert numbers[0] < numbers[1]


async def test_orders_are_kept_for_group_expiry(make_queues: MakeQueues) -> None:
    """No membership lasts longer."""
    queues = make_queues(group_expiry=0.1)
    assert await queues.enroll(SHARD, "a", CHANNEL, node=HERE, add=False)

    async def gone() -> bool:
        return not await queues.orders(SHARD, HERE)

    await until(gone)


async def test_so_many_orders_are_kept(make_queues: MakeQueues) -> None:
    """Who hears is told more; of who is alive and does not, the caller learns."""
    queues = make_queues()
    for number in range(values.ORDERS_KEPT):
        assert await queues.enroll(SHARD, f"g{number}", CHANNEL, node=HERE, add=False)
    for add in (True, False):
        assert await queues.enroll(SHARD, "a", CHANNEL, node=HERE, add=add)  # it is gone
    assert await queues.enroll(SHARD, "g7", CHANNEL, node=HERE, add=False)  # it is kept anyway
    await join(queues, "any")  # with which its lease begins
    for add in (True, False):
        assert not await queues.enroll(SHARD, "a", CHANNEL, node=HERE, add=add)
    assert len(await queues.orders(SHARD, HERE)) == values.ORDERS_KEPT
    ear = await listen(queues, HERE)
    assert await queues.enroll(SHARD, "a", CHANNEL, node=HERE, add=False)
    [entry] = await ear.wait_for(1)
    assert (entry.kind, entry.name, entry.offset) == (wire.Kind.DISCARD, "a", 0)


async def test_orders_are_numbered_by_a_clock(make_queues: MakeQueues) -> None:
    """In µs, so that a node can tell how long ago each was given."""
    queues = make_queues()
    before = await queues.order_clock(SHARD)
    assert await queues.enroll(SHARD, "a", CHANNEL, node=HERE, add=False)
    [order] = await queues.orders(SHARD, HERE)
    await asyncio.sleep(0.01)
    assert before <= order.number < await queues.order_clock(SHARD) - 9_000


async def test_echo_comes_to_who_can_hear(make_queues: MakeQueues) -> None:
    """Behind what was told before; else the caller learns that it does not come."""
    queues = make_queues()
    assert not await queues.echo(SHARD, HERE, b"token")
    ear = await listen(queues, HERE)
    assert await queues.enroll(SHARD, "a", CHANNEL, node=HERE, add=True)
    assert await queues.echo(SHARD, HERE, b"token")
    # The ear passes over the probes, with which a connection finds out that it hears.
    assert [entry.name for entry in await ear.wait_for(1)] == ["a"]


async def test_too_much_waits_for_a_process(
    make_layer: MakeLayer, make_backend: MakeBackend
) -> None:
    """Both calls say so if it is alive; for one that is gone there is nothing to do."""
    layer, backend = make_layer(), make_backend()
    shard, node = layer.shard_of("g"), NodeId("0123456789abcdef")
    channel = f"specific.{node}!1"
    for number in range(values.ORDERS_KEPT):
        await backend.enroll(shard, f"g{number}", channel, node=node, add=False)
    await layer.group_add("g", channel)
    await layer.group_discard("g", channel)
    await backend.renew(shard, node)
    for change in (layer.group_add, layer.group_discard):
        with pytest.raises(ShardUnavailable, match=node):
            await change("g", channel)


async def test_discarded_while_memory_is_full(place: Place, make_layer: MakeLayer) -> None:
    """Else who was removed would go on to hear. Nobody is added then, and the caller learns."""
    if not place.servers:
        pytest.skip("this process's memory has no limit")
    here, there = make_layer(), make_layer()
    channel = await here.new_channel()
    await here.group_add("g", channel)
    node = await here.node()
    clients = place.clients()
    for client in clients:
        client.config_set("maxmemory", 1)
    try:
        await there.group_discard("g", channel)
        await until(lambda: not node.memberships.channels("g"))
        await there.group_discard("other", "specific.0123456789abcdef!1")  # which does not hear it
        with pytest.raises(ShardUnavailable, match="maxmemory"):
            await there.group_add("h", channel)
    finally:
        for client in clients:
            client.config_set("maxmemory", 0)
            client.close()
    assert node.memberships.channels("h") == []


async def test_orders_of_another_process_are_taken(
    make_layer: MakeLayer, make_queues: MakeQueues
) -> None:
    """Both ways; then the shard keeps them no more."""
    here, there, queues = make_layer(), make_layer(), make_queues()
    channel = await here.new_channel()
    for group in ("g", "h"):
        await there.group_add(group, channel)
    await there.group_discard("g", channel)
    await there.group_send("g", message(1))
    await there.group_send("h", message(2))
    assert await receive(here, channel) == 2
    node = await here.node()

    async def nothing_kept() -> bool:
        kept = [await queues.orders(here.shard_of(group), node.id) for group in ("g", "h")]
        return not any(kept) and len(node.orders) == 0

    await until(nothing_kept)


async def test_flush_drops_what_is_kept(make_layer: MakeLayer, make_queues: MakeQueues) -> None:
    """Nobody is in a group then."""
    layer, queues = make_layer(), make_queues()
    await queues.enroll(SHARD, "a", CHANNEL, node=HERE, add=True)
    await layer.flush()
    assert await queues.orders(SHARD, HERE) == []


async def test_messages_wait_for_the_orders_that_were_missed(
    make_layer: MakeLayer, make_queues: MakeQueues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that hears again delivers only when it knows who was discarded meanwhile."""
    layer, queues = make_layer(), make_queues()
    first, second = await layer.new_channel(), await layer.new_channel()
    node, shard = await layer.node(), layer.shard_of("g")
    for channel in (first, second):
        await layer.group_add("g", channel)
    ear = Ear(node, monkeypatch, is_deaf=True)
    await queues.enroll(shard, "g", first, node=node.id, add=False)
    assert await queues.orders(shard, node.id)
    await ear.come(1)
    asked, answered = asyncio.Event(), asyncio.Event()
    read = node._backend.orders

    async def slowly(shard: int, node: NodeId) -> list[values.Order]:
        asked.set()
        await answered.wait()
        return await read(shard, node)

    monkeypatch.setattr(node._backend, "orders", slowly)
    ear.is_deaf = False
    node.resumed([shard])
    await asked.wait()
    await layer.group_send("g", message("secret"))
    await until(lambda: node.orders._held[shard].steps)
    assert node.memberships.channels("g") == [first, second]
    answered.set()
    assert await receive(layer, second) == "secret"
    assert node.memberships.channels("g") == [second]
    await layer.send(first, message("end"))
    assert await receive(layer, first) == "end"


async def test_messages_do_not_wait_for_ever(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard that does not answer is asked again, and what waits is delivered meanwhile."""
    layer = make_layer()
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    node, shard = await layer.node(), layer.shard_of("g")
    fails, read, times = asyncio.Event(), node._backend.orders, [0]

    async def fail_first(shard: int, node: NodeId) -> list[values.Order]:
        times[0] += 1
        if times[0] > 1:
            return await read(shard, node)
        await fails.wait()
        raise layer_unavailable(layer)

    monkeypatch.setattr(node._backend, "orders", fail_first)
    node.resumed([shard])
    await layer.group_send("g", message(1))
    await until(lambda: node.orders._held[shard].steps)
    fails.set()
    assert await receive(layer, channel) == 1
    await until(lambda: times[0] == 2)
    assert node.orders.deliver == node.memberships.deliver


@pytest.mark.parametrize("add", [True, False])
async def test_missed_order_does_not_undo_a_later_one(
    make_layer: MakeLayer, make_queues: MakeQueues, monkeypatch: pytest.MonkeyPatch, add: bool
) -> None:
    """The later one came while the shard, which did not answer, was not yet asked again."""
    here, there, queues = make_layer(), make_layer(), make_queues()
    channel = await here.new_channel()
    await here.group_add("g", channel)
    node, shard = await here.node(), here.shard_of("g")
    first, later = there.group_discard, there.group_add
    if not add:
        first, later = later, first
    ear = Ear(node, monkeypatch, is_deaf=True)
    await first("g", channel)
    await ear.come(1)
    [missed] = await queues.orders(shard, node.id)
    failed, answers, read = asyncio.Event(), asyncio.Event(), node._backend.orders

    async def fail_first(shard: int, node: NodeId) -> list[values.Order]:
        if not failed.is_set():
            failed.set()
            raise layer_unavailable(here)
        kept = await read(shard, node)
        await answers.wait()
        return [missed, *kept]  # which it may have read before the other was taken

    monkeypatch.setattr(node._backend, "orders", fail_first)
    ear.is_deaf = False
    node.resumed([shard])
    await failed.wait()
    await later("g", channel)
    await until(lambda: (channel in node.memberships.channels("g")) is add)
    answers.set()
    await settled(node, shard, queues)
    assert node.memberships.channels("g") == [channel] * add


async def test_order_that_a_shard_tells_of_first_is_not_undone(
    make_layer: MakeLayer, make_queues: MakeQueues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was given after one that waits here, and is still on its way."""
    here, there, queues = make_layer(), make_layer(), make_queues()
    channel = await here.new_channel()
    await here.group_add("g", channel)
    node, shard = await here.node(), here.shard_of("g")
    ear = Ear(node, monkeypatch, is_deaf=False)
    asked, read = asyncio.Event(), node._backend.orders

    async def slowly(shard: int, node: NodeId) -> list[values.Order]:
        await asked.wait()
        return await read(shard, node)

    monkeypatch.setattr(node._backend, "orders", slowly)
    node.resumed([shard])
    await there.group_discard("g", channel)
    await until(lambda: node.orders._held[shard].numbers)
    ear.is_deaf = True
    await there.group_add("g", channel)
    asked.set()
    await settled(node, shard, queues)
    assert node.memberships.channels("g") == [channel]


@pytest.mark.parametrize("is_heard", [False, True])
@pytest.mark.parametrize("add", [True, False])
async def test_late_order_does_not_undo_what_its_own_process_changed_since(
    make_layer: MakeLayer,
    make_queues: MakeQueues,
    monkeypatch: pytest.MonkeyPatch,
    add: bool,
    is_heard: bool,
) -> None:
    """Neither one that the shard kept, nor one that was heard, and waited for the shard's answer.

    One that was given after that change counts.
    """
    here, there, queues = make_layer(), make_layer(), make_queues()
    channel = await here.new_channel()
    node, shard = await here.node(), here.shard_of("g")
    groups = [name for name in map(str, range(999)) if here.shard_of(name) == shard][:3]
    own, others = here.group_add, there.group_discard
    if not add:
        own, others = here.group_discard, there.group_add
        for group in groups:
            await here.group_add(group, channel)
    ear, asked, read = Ear(node, monkeypatch, is_deaf=not is_heard), asyncio.Event(), queues.orders

    async def slowly(shard: int, node: NodeId) -> list[values.Order]:
        await asked.wait()
        return await read(shard, node)

    monkeypatch.setattr(node._backend, "orders", slowly)
    node.lost([shard])
    if is_heard:
        node.resumed([shard])
    await others(groups[0], channel)
    await ear.come(1)
    await asyncio.sleep(LATER)
    for group in groups:
        await own(group, channel)
    await asyncio.sleep(LATER)
    await others(groups[1], channel)
    await ear.come(2)
    if not is_heard:
        ear.is_deaf = False
        node.resumed([shard])
    asked.set()
    await settled(node, shard, queues)
    last = [add, not add, add]
    assert [channel in node.memberships.channels(group) for group in groups] == last
    assert node.orders._own == {}


@pytest.mark.parametrize("at_once", [True, False])
async def test_failed_change_of_its_own_process_does_not_count(
    make_layer: MakeLayer, make_queues: MakeQueues, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    """It changes nothing, so what was ordered before it counts: also if it fails only later."""
    here, there, queues = make_layer(), make_layer(), make_queues()
    channel = await here.new_channel()
    await here.group_add("g", channel)
    node, shard = await here.node(), here.shard_of("g")
    ear, ends = Ear(node, monkeypatch, is_deaf=True), asyncio.Event()
    node.lost([shard])
    await there.group_discard("g", channel)
    await ear.come(1)
    await asyncio.sleep(LATER)

    async def fail(room: object, *_: object) -> None:
        await ends.wait()
        raise layer_unavailable(here)

    ear.is_deaf = False
    with monkeypatch.context() as broken:
        broken.setattr(node._rooms, "ensure_entered", fail)
        adding = asyncio.create_task(here.group_add("g", channel))
        await asyncio.sleep(0)
        if at_once:
            ends.set()
            await asyncio.wait([adding])
        node.resumed([shard])
        await settled(node, shard, queues)
        assert node.memberships.channels("g") == [channel] * (not at_once)
        ends.set()
        with pytest.raises(ShardUnavailable):
            await adding
    assert node.memberships.channels("g") == []


async def test_flush_while_a_shard_is_asked_again(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it answers may be from before: nobody is in a group then."""
    layer = make_layer()
    channel = await layer.new_channel()
    node, shard = await layer.node(), layer.shard_of("g")
    order = values.Order(1, "g", channel, add=True)
    asked, answers, times = asyncio.Event(), asyncio.Event(), [0]

    async def fail_first(shard: int, node: NodeId) -> list[values.Order]:
        times[0] += 1
        if times[0] == 1:
            raise layer_unavailable(layer)
        if times[0] > 2:
            return []
        asked.set()
        await answers.wait()
        return [order]

    monkeypatch.setattr(node._backend, "orders", fail_first)
    node.resumed([shard])
    await asked.wait()
    await layer.flush()
    answers.set()
    await until(lambda: not node.orders._asking._running)
    assert node.memberships.channels("g") == []


@pytest.mark.parametrize("lasts", [True, False])
async def test_group_of_an_added_channel_can_not_be_registered_at_once(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch, lasts: bool
) -> None:
    """The caller was told that it is a member: so it stays one, and is registered when it can."""
    here, there = make_layer(), make_layer()
    channel = await here.new_channel()
    node = await here.node()
    fails, times, join_once = [True], [0], Registration.join

    async def join(*arguments: Any, **options: Any) -> Any:
        if arguments[0] is node._registration and fails[0]:
            times[0] += 1
            raise layer_unavailable(here)
        return await join_once(*arguments, **options)

    monkeypatch.setattr(Registration, "join", join)
    await there.group_add("g", channel)
    await until(lambda: times[0] > 1)
    assert node.memberships.channels("g") == [channel]
    if not lasts:
        await there.group_discard("g", channel)
        await until(lambda: not node.memberships._registering._running)
        assert node.memberships.channels("g") == []
        return
    with pytest.raises(ShardUnavailable):
        await here.group_add("g", channel)  # which changes nothing
    fails[0] = False
    await until(lambda: not node.memberships._registering._running)
    await there.group_send("g", message(1))
    assert await receive(here, channel) == 1


def layer_unavailable(layer: ShardedChannelLayer) -> ShardUnavailable:
    return ShardUnavailable(shard=0, server="server", reason="it hangs")


async def test_no_more_than_max_backlog_waits_for_orders(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is beyond is lost, as to a worker that is too slow."""
    layer = make_layer(max_backlog=1_048_576, capacity=1_000)
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    node, shard = await layer.node(), layer.shard_of("g")
    goes_on, read = asyncio.Event(), node._backend.orders

    async def slowly(shard: int, node: NodeId) -> list[values.Order]:
        await goes_on.wait()
        return await read(shard, node)

    monkeypatch.setattr(node._backend, "orders", slowly)
    node.resumed([shard])
    large = b"x" * 400_000
    for _ in range(3):
        node.orders.deliver("g", large)
    held = node.orders._held[shard]
    assert (len(held.steps), held.size) == (2, 800_000)
    goes_on.set()
    await until(lambda: not node.orders._held)


# A channel's own process


async def test_added_again_after_it_was_discarded(make_layer: MakeLayer) -> None:
    """It stays, and gets what is sent from then on, and nothing that was sent between."""
    layer, other = make_layer(capacity=100), make_layer()
    channel = await layer.new_channel()
    for number in range(30):
        group = f"g{number}"
        await layer.group_add(group, channel)
        await layer.group_send(group, message("before"))
        await layer.group_discard(group, channel)
        await layer.group_send(group, message("between"))
        await layer.group_add(group, channel)
        await layer.group_send(group, message("after"))
        assert [await receive(layer, channel) for _ in range(2)] == ["before", "after"]
        assert await other.group_members(group) == [channel]


async def test_added_again_though_everything_is_late(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, where what is sent takes its time to arrive; and discarded again, it is out."""
    layer = make_layer()
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    node = await layer.node()
    have_arrive_late(node, AWAY, monkeypatch)
    await layer.group_send("g", message("before"))
    await layer.group_discard("g", channel)
    await layer.group_send("g", message("between"))
    await layer.group_add("g", channel)
    await layer.group_send("g", message("after"))
    await layer.group_discard("g", channel)
    await layer.group_send("g", message("at last"))
    assert [await receive(layer, channel) for _ in range(2)] == ["before", "after"]
    await until(lambda: node.members("g") == 0)
    await layer.send(channel, message("end"))
    assert await receive(layer, channel) == "end"


async def test_added_again_though_echoes_are_lost(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost connection may lose them: the member is in all the same, and stays."""
    monkeypatch.setattr("shardlayer.channels.group_members.ECHO_TIMEOUT", AWAY)
    layer = make_layer()
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    node = await layer.node()
    ear = Ear(node, monkeypatch, is_deaf=True)
    await layer.group_send("g", message("lost"))
    await layer.group_discard("g", channel)
    await layer.group_add("g", channel)
    ear.is_deaf = False
    await until(lambda: not node.memberships._leaving)
    assert not node.memberships._echoes
    await layer.group_send("g", message("after"))
    assert await receive(layer, channel) == "after"


async def test_added_by_another_process_before_its_own_discarded_it(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later call counts, though the earlier one comes when the later one has returned."""
    here, there = make_layer(), make_layer()
    channel = await here.new_channel()
    await here.group_add("g", channel)
    node = await here.node()
    have_arrive_late(node, AWAY, monkeypatch)
    await here.group_send("g", message(1))
    await there.group_add("g", channel)
    await here.group_discard("g", channel)
    assert await receive(here, channel) == 1
    await until(lambda: not node.memberships._echoes)
    assert node.memberships.channels("g") == []
