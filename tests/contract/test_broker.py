"""What every broker promises of publications, on every place; no other role is used here."""

from __future__ import annotations

import asyncio

import pytest

from shardlayer.broker.interface import Broker
from shardlayer.broker.values import JoinReply, Page
from shardlayer.core.options import MAX_BATCH_SIZE
from shardlayer.core.room_options import NO_HISTORY
from shardlayer.core.types import BEGINNING, HistoryPolicy, Mark, Position
from tests.contract.asking import (
    HERE,
    SHARD,
    THERE,
    is_empty,
    join,
    join_request,
    listen,
    offsets,
    outgoing,
    publish,
)
from tests.contract.conftest import MakeBroker
from tests.waiting import until


async def test_publications_are_numbered_per_group(broker: Broker) -> None:
    """Offsets begin at 1 and count each group on its own, over batches."""
    items = [outgoing(name, b"{}") for name in ("a", "b", "a", "a", "b")]
    assert offsets(await publish(broker, *items)) == [1, 1, 2, 3, 2]
    assert offsets(await publish(broker, *items, number=2)) == [4, 3, 5, 6, 4]


async def test_group_keeps_its_epoch(broker: Broker) -> None:
    """The epoch offered with the first publication stays; later offers are ignored."""
    first = await publish(broker, outgoing("a", b"1"))
    joined = await join(broker, "a")
    assert first.positions == [Position(offset=1, epoch="k3k3k3k3")]
    assert joined.position == Position(offset=1, epoch="k3k3k3k3")


async def test_repeated_batch_is_answered_and_not_applied(broker: Broker) -> None:
    """A batch whose answer was lost is sent again and changes nothing."""
    item = outgoing("a", b"{}")
    first = await publish(broker, item, item)
    assert await publish(broker, item, item) == first
    assert len(await broker.history(SHARD, "a", 10)) == 2
    assert offsets(await publish(broker, item, number=2)) == [3]
    assert offsets(await publish(broker, item, writer="another")) == [4]


async def test_largest_batch_is_taken(broker: Broker) -> None:
    """As many publications as a batch may have, each with a room, a source and a key of its own."""
    items = [
        outgoing(f"room.{number}", b"{}")._replace(
            mark=Mark(f"events/{number}", 7), idempotency_key=f"key-{number}"
        )
        for number in range(MAX_BATCH_SIZE)
    ]
    published = await publish(broker, *items)
    assert offsets(published) == [1] * MAX_BATCH_SIZE
    again = await publish(broker, *items, number=2)
    assert again.repeated == MAX_BATCH_SIZE


async def test_history_holds_what_was_published(broker: Broker) -> None:
    """The newest publications, oldest first, with their offsets."""
    await publish(broker, *(outgoing("a", b"%d" % number) for number in range(1, 6)))
    held = await broker.history(SHARD, "a", 3)
    assert [(item.offset, item.data) for item in held] == [(3, b"3"), (4, b"4"), (5, b"5")]
    assert {(item.room, item.epoch) for item in held} == {("a", "k3k3k3k3")}


async def test_history_is_bounded_in_size(broker: Broker) -> None:
    """Far more publications than the size leave about the size (Redis trims in blocks)."""
    policy = HistoryPolicy(size=50, ttl=60.0)
    for number in range(10):
        items = [outgoing("a", b"{}", policy) for _ in range(100)]
        await publish(broker, *items, number=number + 1)
    held = await broker.history(SHARD, "a", 1_000)
    assert held[-1].offset == 1_000
    assert 50 <= len(held) <= 200


async def test_history_goes_after_its_ttl_and_the_offset_stays(broker: Broker) -> None:
    """A quiet room loses its publications, not its place in the count."""
    await publish(broker, outgoing("a", b"1", HistoryPolicy(size=10, ttl=0.05)))
    await until(lambda: is_empty(broker.history(SHARD, "a", 10)))
    assert (await join(broker, "a")).position == Position(offset=1, epoch="k3k3k3k3")
    assert offsets(await publish(broker, outgoing("a", b"2"), number=2)) == [2]


async def test_group_without_history_is_not_numbered(broker: Broker) -> None:
    """Where nothing is kept there is no position, in publishing and in joining."""
    published = await publish(broker, outgoing("a", b"{}", NO_HISTORY))
    assert published.positions == [None]
    assert (await join(broker, "a", keeps=False)).position is None
    assert await broker.history(SHARD, "a", 10) == []


async def test_join_answers_what_was_missed(broker: Broker) -> None:
    """From a known position the reply has all that came after it and says so."""
    await publish(broker, *(outgoing("a", b"%d" % number) for number in range(1, 6)))
    reply = await join(broker, "a", since=Position(offset=3, epoch="k3k3k3k3"))
    assert reply.recovered
    assert reply.position == Position(offset=5, epoch="k3k3k3k3")
    assert [(item.offset, item.data) for item in reply.publications] == [(4, b"4"), (5, b"5")]


async def test_join_at_the_last_position_has_missed_nothing(broker: Broker) -> None:
    """Nothing new is recovered too, also when the history is gone."""
    await publish(broker, outgoing("a", b"1", HistoryPolicy(size=10, ttl=0.05)))
    await until(lambda: is_empty(broker.history(SHARD, "a", 10)))
    reply = await join(broker, "a", since=Position(offset=1, epoch="k3k3k3k3"))
    assert reply.recovered
    assert reply.publications == []


async def test_join_from_the_beginning_answers_all_there_is(broker: Broker) -> None:
    """Without an epoch the position is before everything that is held."""
    await publish(broker, outgoing("a", b"1"), outgoing("a", b"2"))
    reply = await join(broker, "a", since=BEGINNING)
    assert reply.recovered
    assert [item.data for item in reply.publications] == [b"1", b"2"]


@pytest.mark.parametrize(
    "since",
    [Position(offset=1, epoch="other"), Position(offset=9, epoch="k3k3k3k3")],
    ids=["another epoch", "ahead of the room"],
)
async def test_join_from_an_unknown_position_is_not_recovered(
    broker: Broker, since: Position
) -> None:
    """A position that can't be compared gets what there is, and is told that it may miss some."""
    await publish(broker, outgoing("a", b"1"), outgoing("a", b"2"))
    reply = await join(broker, "a", since=since)
    assert not reply.recovered
    assert [item.data for item in reply.publications] == [b"1", b"2"]


async def test_join_beyond_the_window_is_not_recovered(broker: Broker) -> None:
    """What was trimmed can't be given, and the reply does not pretend."""
    policy = HistoryPolicy(size=10, ttl=60.0)
    for number in range(5):
        items = [outgoing("a", b"{}", policy) for _ in range(100)]
        await publish(broker, *items, number=number + 1)
    reply = await join(broker, "a", since=Position(offset=1, epoch="k3k3k3k3"))
    assert not reply.recovered
    assert reply.publications[0].offset > 2
    assert [item.offset for item in reply.publications][-1] == 500


@pytest.mark.parametrize("returns", [False, True])
async def test_what_was_missed_comes_in_pages(broker: Broker, returns: bool) -> None:
    """Whoever asks gets the oldest first, and the rest by asking again from where that ends."""
    policy = HistoryPolicy(size=10_000, ttl=60.0)
    for number in range(1, 6):
        items = [outgoing("a", b"x", policy) for _ in range(300)]
        await publish(broker, *items, number=number)
    since = Position(offset=100, epoch="k3k3k3k3")
    page = await join(broker, "a", since=since, returns=returns)
    assert page.recovered
    assert page.position == Position(offset=1_500, epoch="k3k3k3k3")
    assert [item.offset for item in page.publications] == list(range(101, 1_101))
    assert page.reached == Position(offset=1_100, epoch="k3k3k3k3")
    rest = await join(broker, "a", since=page.reached, returns=returns)
    assert rest.recovered
    assert [item.offset for item in rest.publications] == list(range(1_101, 1_501))
    assert rest.reached == rest.position == page.position


@pytest.mark.parametrize("returns", [False, True])
async def test_page_is_bounded_in_bytes(broker: Broker, returns: bool) -> None:
    """A page ends before it is too large; one publication that is too large for it comes alone."""
    for number, size in enumerate([100, 100, 1_000, 100], start=1):
        await publish(broker, outgoing("a", b"1" * size), number=number)
    at: Position | None = Position(offset=0, epoch="k3k3k3k3")
    for wanted in ([1, 2], [3], [4]):
        reply = await join(broker, "a", since=at, returns=returns, page=Page(max_bytes=300))
        assert reply.recovered
        assert [item.offset for item in reply.publications] == wanted
        at = reply.reached
    assert at == reply.position == Position(offset=4, epoch="k3k3k3k3")


async def test_page_that_may_be_empty_says_where_it_begins(broker: Broker) -> None:
    """An answer of many rooms has no place for what is large: it names the place before it."""
    await publish(broker, outgoing("a", b"1" * 1_000), outgoing("a", b"2"))
    for since, recovered in ((BEGINNING, True), (Position(offset=7, epoch="other"), False)):
        reply = await join(broker, "a", since=since, page=Page(max_bytes=300, least=0))
        assert (reply.publications, reply.recovered) == ([], recovered)
        assert reply.reached == Position(offset=0, epoch="k3k3k3k3")
        assert reply.position == Position(offset=2, epoch="k3k3k3k3")


async def test_history_is_read_in_pages(broker: Broker) -> None:
    """Newest first, bounded in bytes; a page says whether older ones are held."""
    sizes = [100, 1_000, 100, 100]
    for number, size in enumerate(sizes, start=1):
        await publish(broker, outgoing("a", b"1" * size), number=number)
    pages = []
    before, more = 0, True
    while more:
        page = await broker.page(SHARD, "a", 10, before=before, max_bytes=300)
        assert page.position == Position(offset=4, epoch="k3k3k3k3")
        pages.append([item.offset for item in page.publications])
        before, more = page.publications[0].offset, page.more
    assert pages == [[3, 4], [2], [1]]
    newest = await broker.page(SHARD, "a", 1)
    assert ([item.offset for item in newest.publications], newest.more) == ([4], True)
    assert (await broker.page(SHARD, "a", 4)).more is False
    assert (await broker.page(SHARD, "nobody", 4)) == (Position(offset=0, epoch=""), [], False)
    assert [len(item.data) for item in await broker.history(SHARD, "a", 3)] == sizes[1:]


async def test_history_of_more_than_a_page_is_whole(broker: Broker) -> None:
    """Whoever asks for all that a room holds gets it, though it takes several pages."""
    policy = HistoryPolicy(size=10_000, ttl=60.0)
    for number in range(1, 6):
        items = [outgoing("a", b"x" * 500, policy) for _ in range(300)]
        await publish(broker, *items, number=number)
    held = await broker.history(SHARD, "a", 1_400)
    assert [item.offset for item in held] == list(range(101, 1_501))


async def test_groups_are_asked_together_where_they_stand(broker: Broker) -> None:
    """The answers are in order; a group without an epoch has none."""
    await publish(broker, outgoing("a", b"1"), outgoing("a", b"2"))
    await join(broker, "b")
    assert await broker.positions(SHARD, ["nobody", "a", "b"]) == [
        None,
        Position(offset=2, epoch="k3k3k3k3"),
        Position(offset=0, epoch="j0j0j0j0"),
    ]


async def test_epoch_in_which_nothing_was_published_goes(make_broker: MakeBroker) -> None:
    """Whoever joins a name makes no lasting key; while somebody asks for it, it stays."""
    window = {"*": {"size": 10, "ttl": 1.0}}
    broker = make_broker(history=window, position_check_interval=0.1)
    assert await broker.positions(SHARD, ["a"]) == [None]
    loop = asyncio.get_running_loop()
    asked = loop.time()
    await join(broker, "a")
    ends = loop.time() + 1.5
    while loop.time() < ends:
        before, asked = asked, loop.time()
        found = await broker.positions(SHARD, ["a"])
        if loop.time() - before > 0.8:
            break  # a machine that busy does not ask in time
        assert found == [Position(offset=0, epoch="j0j0j0j0")]
        await asyncio.sleep(0.02)

    async def gone() -> bool:
        return not (await broker.page(SHARD, "a", 1)).position.epoch

    await until(gone)
    await publish(broker, outgoing("a", b"1"))
    assert await broker.positions(SHARD, ["a"]) == [Position(offset=1, epoch="k3k3k3k3")]


async def test_name_that_was_used_once_goes_sooner(make_broker: MakeBroker) -> None:
    """A room's offset is kept for each publication that it had; while somebody asks, it stays."""
    broker = make_broker(
        history={"*": {"size": 10, "ttl": 0.1}},
        position_check_interval=0.1,
        meta_ttl=60,
        meta_ttl_per_publication=5.0,  # far longer than a busy machine takes to ask again
    )
    policy = HistoryPolicy(size=10, ttl=0.1)
    for number, (name, count) in enumerate([("once", 1), ("asked for", 1), ("busy", 100)], 1):
        items = [outgoing(name, b"1", policy) for _ in range(count)]
        await publish(broker, *items, number=number)
    await join(broker, "once")  # which prolongs it as little

    async def is_gone() -> bool:
        assert await broker.positions(SHARD, ["asked for"]) == [Position(1, "k3k3k3k3")]
        return not (await broker.page(SHARD, "once", 1)).position.epoch

    await until(is_gone)
    assert await broker.positions(SHARD, ["busy"]) == [Position(offset=100, epoch="k3k3k3k3")]

    async def is_gone_too() -> bool:
        return not (await broker.page(SHARD, "asked for", 1)).position.epoch

    await until(is_gone_too)


async def test_what_is_published_after_a_join_is_heard(make_broker: MakeBroker) -> None:
    """In order and once, by each node that joined, with the offset and the epoch it was given."""
    here, there = make_broker(), make_broker()
    hears, overhears = await listen(here, HERE), await listen(there, THERE)
    await publish(here, outgoing("a", b"0"))
    await join(here, "a")
    await join(there, "a", node=THERE)
    await publish(here, outgoing("a", b"1"), outgoing("a", b"2"), number=2)
    await publish(there, outgoing("a", b"3"), number=1, writer="another")
    for ear in (hears, overhears):
        await until(lambda ear=ear: ear.entries[-1:] and ear.entries[-1].payload == b"3")  # type: ignore[misc]
        heard = [(entry.offset, entry.payload) for entry in ear.entries][-3:]
        assert heard == [(2, b"1"), (3, b"2"), (4, b"3")]
        assert {entry.epoch for entry in ear.entries} == {"k3k3k3k3"}


async def test_marks_are_known_until_they_are_forgotten(broker: Broker) -> None:
    """Each source has its last mark on the shard; what is not ahead of that was published."""
    item = outgoing("a", b"{}")
    marked = [item._replace(mark=Mark("events/1", offset)) for offset in (7, 8)]
    await publish(broker, *marked)
    assert await broker.marks(SHARD, ["events/1", "events/2"]) == [Mark("events/1", 8), None]
    assert (await publish(broker, *marked, number=2)).repeated == 2
    await broker.forget_marks(SHARD, ["events/1"])
    assert await broker.marks(SHARD, ["events/1"]) == [None]
    assert (await publish(broker, *marked, number=3)).repeated == 0


async def test_joins_together_are_answered_in_order(broker: Broker) -> None:
    """Each as if it had been asked for alone."""
    await publish(broker, outgoing("a", b"1"))
    requests = [join_request("a", since=BEGINNING), join_request("b")]
    first, second = await broker.join_many(SHARD, requests)
    assert isinstance(first, JoinReply)
    assert isinstance(second, JoinReply)
    assert first.position == Position(offset=1, epoch="k3k3k3k3")
    assert [item.data for item in first.publications] == [b"1"]
    assert second.position == Position(offset=0, epoch="j0j0j0j0")
