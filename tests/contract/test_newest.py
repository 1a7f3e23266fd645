"""Rooms that keep their newest publication, on every place."""

from __future__ import annotations

from dataclasses import replace

from shardlayer.broker.interface import Broker
from shardlayer.core.types import BEGINNING, HistoryPolicy, Position
from tests.contract.asking import POLICY, SHARD, join_request, outgoing, publish
from tests.contract.conftest import MakeBroker, MakeLayer
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until

KEEPS = replace(POLICY, latest=True)
BRIEF = HistoryPolicy(size=10, ttl=0.05, latest=True)


async def newest(broker: Broker, since: Position | None = None) -> tuple[int, bytes] | None:
    """Return offset and data of what a node is told when it joins."""
    request = replace(join_request("now", since=since), latest=True)
    found = (await broker.join(SHARD, request)).newest
    return (found.offset, found.data) if found is not None else None


async def test_each_answer_has_the_newest(broker: Broker) -> None:
    """Nothing before the first; then the last of a batch, whatever position was asked from."""
    assert await newest(broker) is None
    await publish(broker, *(outgoing("now", b"%d" % n, KEEPS) for n in range(3)))
    assert await newest(broker) == (3, b"2")
    assert await newest(broker, BEGINNING) == (3, b"2")
    await publish(broker, outgoing("now", b"7", KEEPS), outgoing("other", b"8", POLICY), number=2)
    assert await newest(broker) == (4, b"7")


async def test_it_outlives_the_history(broker: Broker) -> None:
    """The history goes after its time, the newest publication stays."""
    await publish(broker, outgoing("now", b"1", BRIEF))

    async def is_gone() -> bool:
        return not await broker.history(SHARD, "now", 10)

    await until(is_gone)
    assert await newest(broker) == (1, b"1")
    reply = await broker.join(SHARD, replace(join_request("now", since=BEGINNING), latest=True))
    assert not reply.recovered
    assert reply.publications == []


async def test_other_rooms_keep_none(broker: Broker) -> None:
    """Without the policy nothing is kept, and without the wish nothing is answered."""
    await publish(broker, outgoing("now", b"1", POLICY))
    assert await newest(broker) is None
    await publish(broker, outgoing("now", b"2", KEEPS), number=2)
    assert (await broker.join(SHARD, join_request("now"))).newest is None


async def test_repeated_publications_change_nothing(make_broker: MakeBroker) -> None:
    """What an idempotency key or a batch's number says was published does not come last again."""
    broker = make_broker()
    first = outgoing("now", b"1", KEEPS)._replace(idempotency_key="k")
    await publish(broker, first)
    await publish(broker, outgoing("now", b"2", KEEPS), number=2)
    await publish(broker, first, number=3)
    assert await newest(broker) == (2, b"2")


async def test_each_subscriber_is_told_at_once(make_layer: MakeLayer) -> None:
    """The first of a node, the next ones, and one on another node; with the room's position."""
    history = {"now": {"size": 10, "ttl": 0.05, "latest": True}, "*": {}}
    layer, other = make_layer(history=history), make_layer(history=history)
    await layer.publish("now", b"1")

    async def is_gone() -> bool:
        return not await layer.history("now")

    await until(is_gone)
    here, there = await layer.node(), await other.node()
    for node in (here, here, there):
        joined = await node.join("now", RecordingSink())
        assert joined.position is not None
        assert [(item.offset, item.data) for item in joined.publications] == [(1, b"1")]
        assert joined.position.offset == 1
        assert not joined.recovered
        joined.release()
    assert joined.position is not None
    old = Position(0, joined.position.epoch)
    joined = await here.join("now", RecordingSink(), old)
    assert [item.data for item in joined.publications] == [b"1"]
    joined.release()
    await layer.publish("now", b"2")
    for node in (here, there):

        async def is_newest() -> bool:
            found = await node.join("now", RecordingSink())  # noqa: B023
            return [item.data for item in found.publications] == [b"2"]

        await until(is_newest)
    plain = await here.join("elsewhere", RecordingSink())
    assert plain.publications == []


async def test_no_subscriber_is_told_what_was_cleared(make_layer: MakeLayer) -> None:
    """Not on nodes that have members either. What is published afterwards is the newest again."""
    history = {"now": {"size": 10, "ttl": 60, "latest": True}, "*": {}}
    layer, other = make_layer(history=history), make_layer(history=history)
    nodes = [await layer.node(), await other.node()]
    for node in nodes:
        (await node.join("now", RecordingSink())).release()

    async def tells(expected: list[bytes]) -> None:
        for node in nodes:

            async def is_told() -> bool:
                found = await node.join("now", RecordingSink())  # noqa: B023
                found.release()
                return [item.data for item in found.publications] == expected

            await until(is_told)

    await layer.publish("now", b"1")
    await tells([b"1"])
    await layer.clear_history("now")
    await tells([])
    await other.publish("now", b"2")
    await tells([b"2"])
