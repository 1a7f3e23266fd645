"""What every backend promises, on every place that it runs on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Sequence

import pytest

from shardlayer.broker.interface import Backend
from shardlayer.broker.values import PAGE, Batch, JoinReply, JoinRequest, Outgoing, Page, Published
from shardlayer.core import wire
from shardlayer.core.options import MAX_BATCH_SIZE, NO_HISTORY
from shardlayer.core.types import BEGINNING, HistoryPolicy, Mark, NodeId, Position
from tests.contract.conftest import MakeBackend
from tests.waiting import until

SHARD = 7
POLICY = HistoryPolicy(size=300, ttl=60.0)
HERE, THERE = NodeId("here"), NodeId("there")


class Ear:
    """Hears what arrives for a node."""

    def __init__(self) -> None:
        self.entries: list[wire.Entry] = []
        self.resumes = 0

    def arrived(self, shard: int, batch: bytes) -> None:
        entries = wire.unpack_batch(batch)
        if entries[0].kind != wire.Kind.PROBE:  # which comes on any shard when nothing else does
            assert shard == SHARD
            self.entries += entries

    def resumed(self, shards: Sequence[int]) -> None:
        self.resumes += 1

    def lost(self, shards: Sequence[int]) -> None:
        pass

    async def wait_for(self, count: int) -> list[wire.Entry]:
        await until(lambda: len(self.entries) >= count)
        return self.entries


async def listen(backend: Backend, node: NodeId) -> Ear:
    ear = Ear()
    await backend.listen(node, ear)
    await asyncio.wait_for(backend.heard(SHARD), 5)
    return ear


def outgoing(group: str, data: bytes, policy: HistoryPolicy = POLICY) -> Outgoing:
    return Outgoing(SHARD, group, wire.pack_body(wire.Kind.PUBLICATION, group, data), policy)


async def publish(
    backend: Backend, *items: Outgoing, number: int = 1, writer: str = "w"
) -> Published:
    batch = Batch(writer=writer, number=number, items=items, epoch="k3k3k3k3")
    return await backend.publish(backend.bundle_of(SHARD), batch)


async def join(
    backend: Backend,
    group: str,
    *,
    node: NodeId = HERE,
    since: Position | None = None,
    keeps: bool = True,
    members: int = 1,
    returns: bool = False,
    page: Page = PAGE,
) -> JoinReply:
    request = JoinRequest(
        node=node,
        group=group,
        members=members,
        keeps=keeps,
        since=since,
        epoch="j0j0j0j0",
        returns=returns,
        page=page,
    )
    return await backend.join(SHARD, request)


async def take(backend: Backend, channel: str) -> bytes | None:
    queued = await backend.receive(SHARD, channel, reader=HERE)
    return queued.message if queued is not None else None


async def is_empty(found: Awaitable[Sequence[object]]) -> bool:
    return not await found


def offsets(published: Published) -> list[int]:
    return [position.offset if position else 0 for position in published.positions]


async def test_publications_are_numbered_per_group(backend: Backend) -> None:
    """Offsets begin at 1 and count each group on its own, over batches."""
    items = [outgoing(name, b"{}") for name in ("a", "b", "a", "a", "b")]
    assert offsets(await publish(backend, *items)) == [1, 1, 2, 3, 2]
    assert offsets(await publish(backend, *items, number=2)) == [4, 3, 5, 6, 4]


async def test_group_keeps_its_epoch(backend: Backend) -> None:
    """The epoch offered with the first publication stays; later offers are ignored."""
    first = await publish(backend, outgoing("a", b"1"))
    joined = await join(backend, "a")
    assert first.positions == [Position(offset=1, epoch="k3k3k3k3")]
    assert joined.position == Position(offset=1, epoch="k3k3k3k3")


async def test_repeated_batch_is_answered_and_not_applied(backend: Backend) -> None:
    """A batch whose answer was lost is sent again and changes nothing."""
    item = outgoing("a", b"{}")
    first = await publish(backend, item, item)
    assert await publish(backend, item, item) == first
    assert len(await backend.history(SHARD, "a", 10)) == 2
    assert offsets(await publish(backend, item, number=2)) == [3]
    assert offsets(await publish(backend, item, writer="another")) == [4]


async def test_largest_batch_is_taken(backend: Backend) -> None:
    """As many publications as a batch may have, each with a room, a source and a key of its own."""
    items = [
        outgoing(f"room.{number}", b"{}")._replace(
            mark=Mark(f"events/{number}", 7), idempotency_key=f"key-{number}"
        )
        for number in range(MAX_BATCH_SIZE)
    ]
    published = await publish(backend, *items)
    assert offsets(published) == [1] * MAX_BATCH_SIZE
    again = await publish(backend, *items, number=2)
    assert again.repeated == MAX_BATCH_SIZE


async def test_history_holds_what_was_published(backend: Backend) -> None:
    """The newest publications, oldest first, with their offsets."""
    await publish(backend, *(outgoing("a", b"%d" % number) for number in range(1, 6)))
    held = await backend.history(SHARD, "a", 3)
    assert [(item.offset, item.data) for item in held] == [(3, b"3"), (4, b"4"), (5, b"5")]
    assert {(item.room, item.epoch) for item in held} == {("a", "k3k3k3k3")}


async def test_history_is_bounded_in_size(backend: Backend) -> None:
    """Far more publications than the size leave about the size (Redis trims in blocks)."""
    policy = HistoryPolicy(size=50, ttl=60.0)
    for number in range(10):
        items = [outgoing("a", b"{}", policy) for _ in range(100)]
        await publish(backend, *items, number=number + 1)
    (info,) = await backend.info(SHARD, ["a"])
    assert info.offset == 1_000
    assert 50 <= info.history_length <= 200


async def test_history_goes_after_its_ttl_and_the_offset_stays(backend: Backend) -> None:
    """A quiet room loses its publications, not its place in the count."""
    await publish(backend, outgoing("a", b"1", HistoryPolicy(size=10, ttl=0.05)))
    await until(lambda: is_empty(backend.history(SHARD, "a", 10)))
    assert (await join(backend, "a")).position == Position(offset=1, epoch="k3k3k3k3")
    assert offsets(await publish(backend, outgoing("a", b"2"), number=2)) == [2]


async def test_group_without_history_is_not_numbered(backend: Backend) -> None:
    """Where nothing is kept there is no position, in publishing and in joining."""
    published = await publish(backend, outgoing("a", b"{}", NO_HISTORY))
    assert published.positions == [None]
    assert (await join(backend, "a", keeps=False)).position is None
    assert await backend.history(SHARD, "a", 10) == []


async def test_join_answers_what_was_missed(backend: Backend) -> None:
    """From a known position the reply has all that came after it and says so."""
    await publish(backend, *(outgoing("a", b"%d" % number) for number in range(1, 6)))
    reply = await join(backend, "a", since=Position(offset=3, epoch="k3k3k3k3"))
    assert reply.recovered
    assert reply.position == Position(offset=5, epoch="k3k3k3k3")
    assert [(item.offset, item.data) for item in reply.publications] == [(4, b"4"), (5, b"5")]


async def test_join_at_the_last_position_has_missed_nothing(backend: Backend) -> None:
    """Nothing new is recovered too, also when the history is gone."""
    await publish(backend, outgoing("a", b"1", HistoryPolicy(size=10, ttl=0.05)))
    await until(lambda: is_empty(backend.history(SHARD, "a", 10)))
    reply = await join(backend, "a", since=Position(offset=1, epoch="k3k3k3k3"))
    assert reply.recovered
    assert reply.publications == []


async def test_join_from_the_beginning_answers_all_there_is(backend: Backend) -> None:
    """Without an epoch the position is before everything that is held."""
    await publish(backend, outgoing("a", b"1"), outgoing("a", b"2"))
    reply = await join(backend, "a", since=BEGINNING)
    assert reply.recovered
    assert [item.data for item in reply.publications] == [b"1", b"2"]


@pytest.mark.parametrize(
    "since",
    [Position(offset=1, epoch="other"), Position(offset=9, epoch="k3k3k3k3")],
    ids=["another epoch", "ahead of the room"],
)
async def test_join_from_an_unknown_position_is_not_recovered(
    backend: Backend, since: Position
) -> None:
    """A position that can't be compared gets what there is, and is told that it may miss some."""
    await publish(backend, outgoing("a", b"1"), outgoing("a", b"2"))
    reply = await join(backend, "a", since=since)
    assert not reply.recovered
    assert [item.data for item in reply.publications] == [b"1", b"2"]


async def test_join_beyond_the_window_is_not_recovered(backend: Backend) -> None:
    """What was trimmed can't be given, and the reply does not pretend."""
    policy = HistoryPolicy(size=10, ttl=60.0)
    for number in range(5):
        items = [outgoing("a", b"{}", policy) for _ in range(100)]
        await publish(backend, *items, number=number + 1)
    reply = await join(backend, "a", since=Position(offset=1, epoch="k3k3k3k3"))
    assert not reply.recovered
    assert reply.publications[0].offset > 2
    assert [item.offset for item in reply.publications][-1] == 500


@pytest.mark.parametrize("returns", [False, True])
async def test_what_was_missed_comes_in_pages(backend: Backend, returns: bool) -> None:
    """Whoever asks gets the oldest first, and the rest by asking again from where that ends."""
    policy = HistoryPolicy(size=10_000, ttl=60.0)
    for number in range(1, 6):
        items = [outgoing("a", b"x", policy) for _ in range(300)]
        await publish(backend, *items, number=number)
    since = Position(offset=100, epoch="k3k3k3k3")
    page = await join(backend, "a", since=since, returns=returns)
    assert page.recovered
    assert page.position == Position(offset=1_500, epoch="k3k3k3k3")
    assert [item.offset for item in page.publications] == list(range(101, 1_101))
    assert page.reached == Position(offset=1_100, epoch="k3k3k3k3")
    rest = await join(backend, "a", since=page.reached, returns=returns)
    assert rest.recovered
    assert [item.offset for item in rest.publications] == list(range(1_101, 1_501))
    assert rest.reached == rest.position == page.position


@pytest.mark.parametrize("returns", [False, True])
async def test_page_is_bounded_in_bytes(backend: Backend, returns: bool) -> None:
    """A page ends before it is too large; one publication that is too large for it comes alone."""
    for number, size in enumerate([100, 100, 1_000, 100], start=1):
        await publish(backend, outgoing("a", b"1" * size), number=number)
    at: Position | None = Position(offset=0, epoch="k3k3k3k3")
    for wanted in ([1, 2], [3], [4]):
        reply = await join(backend, "a", since=at, returns=returns, page=Page(max_bytes=300))
        assert reply.recovered
        assert [item.offset for item in reply.publications] == wanted
        at = reply.reached
    assert at == reply.position == Position(offset=4, epoch="k3k3k3k3")


async def test_page_that_may_be_empty_says_where_it_begins(backend: Backend) -> None:
    """An answer of many rooms has no place for what is large: it names the place before it."""
    await publish(backend, outgoing("a", b"1" * 1_000), outgoing("a", b"2"))
    for since, recovered in ((BEGINNING, True), (Position(offset=7, epoch="other"), False)):
        reply = await join(backend, "a", since=since, page=Page(max_bytes=300, least=0))
        assert (reply.publications, reply.recovered) == ([], recovered)
        assert reply.reached == Position(offset=0, epoch="k3k3k3k3")
        assert reply.position == Position(offset=2, epoch="k3k3k3k3")


async def test_history_is_read_in_pages(backend: Backend) -> None:
    """Newest first, bounded in bytes; a page says whether older ones are held."""
    sizes = [100, 1_000, 100, 100]
    for number, size in enumerate(sizes, start=1):
        await publish(backend, outgoing("a", b"1" * size), number=number)
    pages = []
    before, more = 0, True
    while more:
        page = await backend.page(SHARD, "a", 10, before=before, max_bytes=300)
        assert page.position == Position(offset=4, epoch="k3k3k3k3")
        pages.append([item.offset for item in page.publications])
        before, more = page.publications[0].offset, page.more
    assert pages == [[3, 4], [2], [1]]
    newest = await backend.page(SHARD, "a", 1)
    assert ([item.offset for item in newest.publications], newest.more) == ([4], True)
    assert (await backend.page(SHARD, "a", 4)).more is False
    assert (await backend.page(SHARD, "nobody", 4)) == (Position(offset=0, epoch=""), [], False)
    assert [len(item.data) for item in await backend.history(SHARD, "a", 3)] == sizes[1:]


async def test_history_of_more_than_a_page_is_whole(backend: Backend) -> None:
    """Whoever asks for all that a room holds gets it, though it takes several pages."""
    policy = HistoryPolicy(size=10_000, ttl=60.0)
    for number in range(1, 6):
        items = [outgoing("a", b"x" * 500, policy) for _ in range(300)]
        await publish(backend, *items, number=number)
    held = await backend.history(SHARD, "a", 1_400)
    assert [item.offset for item in held] == list(range(101, 1_501))


async def test_groups_are_asked_together_where_they_stand(backend: Backend) -> None:
    """The answers are in order; a group without an epoch has none."""
    await publish(backend, outgoing("a", b"1"), outgoing("a", b"2"))
    await join(backend, "b")
    assert await backend.positions(SHARD, ["nobody", "a", "b"]) == [
        None,
        Position(offset=2, epoch="k3k3k3k3"),
        Position(offset=0, epoch="j0j0j0j0"),
    ]


async def test_epoch_in_which_nothing_was_published_goes(make_backend: MakeBackend) -> None:
    """Whoever joins a name makes no lasting key; while somebody asks for it, it stays."""
    window = {"*": {"size": 10, "ttl": 1.0}}
    backend = make_backend(history=window, position_check_interval=0.1)
    await join(backend, "a")
    loop = asyncio.get_running_loop()
    ends = loop.time() + 1.5
    while loop.time() < ends:
        assert await backend.positions(SHARD, ["a"]) == [Position(offset=0, epoch="j0j0j0j0")]
        await asyncio.sleep(0.02)

    async def gone() -> bool:
        (info,) = await backend.info(SHARD, ["a"])
        return not info.epoch

    await until(gone)
    await publish(backend, outgoing("a", b"1"))
    assert await backend.positions(SHARD, ["a"]) == [Position(offset=1, epoch="k3k3k3k3")]


async def test_name_that_was_used_once_goes_sooner(make_backend: MakeBackend) -> None:
    """A room's offset is kept for each publication that it had; while somebody asks, it stays."""
    backend = make_backend(
        history={"*": {"size": 10, "ttl": 0.1}},
        position_check_interval=0.1,
        meta_ttl=60,
        meta_ttl_per_publication=0.5,
    )
    policy = HistoryPolicy(size=10, ttl=0.1)
    for number, (name, count) in enumerate([("once", 1), ("asked for", 1), ("busy", 100)], 1):
        items = [outgoing(name, b"1", policy) for _ in range(count)]
        await publish(backend, *items, number=number)
    await join(backend, "once")  # which prolongs it as little

    async def is_gone() -> bool:
        assert await backend.positions(SHARD, ["asked for"]) == [Position(1, "k3k3k3k3")]
        (info,) = await backend.info(SHARD, ["once"])
        return not info.epoch

    await until(is_gone)
    assert await backend.positions(SHARD, ["busy"]) == [Position(offset=100, epoch="k3k3k3k3")]

    async def is_gone_too() -> bool:
        (info,) = await backend.info(SHARD, ["asked for"])
        return not info.epoch

    await until(is_gone_too)


async def test_what_is_gone_is_pruned(make_backend: MakeBackend) -> None:
    """Nodes without a lease leave groups that nothing is published to; others stay."""
    backend = make_backend(lease_ttl=0.2)
    for group in ("a", "b"):
        await join(backend, group)
        await join(backend, group, node=THERE)
    forgotten = 0

    async def pruned() -> bool:
        nonlocal forgotten
        await backend.renew(SHARD, THERE)
        forgotten += await backend.prune(SHARD, ["nobody", "a", "b"])
        return forgotten == 2

    await until(pruned)
    for info in await backend.info(SHARD, ["a", "b"]):
        assert set(info.nodes) == {"there"}


async def test_one_node_sweeps_a_server(make_backend: MakeBackend) -> None:
    """Of all that want to search a server within a while the first does."""
    first, second = make_backend(), make_backend()
    assert await first.claim_sweep(0, 0.5)
    assert not await second.claim_sweep(0, 0.5)
    await until(lambda: second.claim_sweep(0, 0.5))


async def test_nodes_hear_just_what_they_have_members_for(make_backend: MakeBackend) -> None:
    """Targeted dispatch: a node gets the publications of its own groups, in one batch."""
    here, there = make_backend(lease_ttl=1.0), make_backend(lease_ttl=1.0)
    hears, overhears = await listen(here, HERE), await listen(there, THERE)
    await join(here, "a")
    await join(there, "b", node=THERE)
    await until_targeted(here)
    hears.entries.clear()
    overhears.entries.clear()
    await asyncio.gather(here.renew(SHARD, HERE), there.renew(SHARD, THERE))
    items = [outgoing("a", b"1"), outgoing("b", b"2"), outgoing("c", b"3"), outgoing("a", b"4")]
    published = await publish(here, *items, number=9_999)
    assert published.targeted
    assert published.messages == 2
    assert [entry.payload for entry in await hears.wait_for(2)] == [b"1", b"4"]
    assert [entry.payload for entry in await overhears.wait_for(1)] == [b"2"]
    assert (hears.entries[0].offset, hears.entries[0].name) == (1, "a")


async def until_targeted(backend: Backend) -> None:
    """Publish until the registry, which was found new, is trusted."""
    numbers = itertools.count(1)

    async def targeted() -> bool:
        await asyncio.gather(backend.renew(SHARD, HERE), backend.renew(SHARD, THERE))
        probe = await publish(backend, outgoing("probe", b"0"), number=next(numbers))
        return probe.targeted > 0

    await until(targeted)


async def test_left_group_is_not_heard(make_backend: MakeBackend) -> None:
    """After `leave` the node is told nothing of the group."""
    backend = make_backend(lease_ttl=1.0)
    ear = await listen(backend, HERE)
    await join(backend, "a")
    await join(backend, "b")
    await until_targeted(backend)
    ear.entries.clear()
    await backend.leave(SHARD, HERE, ["a"])
    await publish(backend, outgoing("a", b"1"), outgoing("b", b"2"), number=9_999)
    assert [entry.payload for entry in await ear.wait_for(1)] == [b"2"]


async def test_node_without_a_lease_is_forgotten(make_backend: MakeBackend) -> None:
    """A node that stopped renewing is told nothing and is removed from its groups."""
    backend = make_backend(lease_ttl=0.2)
    await join(backend, "a", members=3)
    await backend.join(
        SHARD,
        JoinRequest(node=THERE, group="a", members=1, keeps=True, since=None, epoch="j0j0j0j0"),
    )
    numbers = itertools.count(1)

    async def forgotten() -> bool:
        await backend.renew(SHARD, THERE)
        published = await publish(backend, outgoing("a", b"1"), number=next(numbers))
        (info,) = await backend.info(SHARD, ["a"])
        return published.targeted > 0 and set(info.nodes) == {"there"}

    await until(forgotten)
    assert not await backend.renew(SHARD, HERE)


async def test_lease_tells_whether_it_had_ended(make_backend: MakeBackend) -> None:
    """The first renewal finds no lease, the next one does, and withdrawing ends it."""
    backend = make_backend()
    assert not await backend.renew(SHARD, HERE)
    assert await backend.renew(SHARD, HERE)
    assert (await join(backend, "a")).leased
    await backend.withdraw(SHARD, HERE)
    assert not (await join(backend, "a")).leased


async def test_members_are_reported(backend: Backend) -> None:
    """What nodes report is what the registry shows."""
    await join(backend, "a", members=1)
    await join(backend, "a", node=THERE, members=1)
    await backend.report(SHARD, HERE, {"a": 40})
    (info,) = await backend.info(SHARD, ["a"])
    assert info.nodes == {"here": 40, "there": 1}
    assert info.members == 41


async def test_unknown_group_has_nothing(backend: Backend) -> None:
    """Asking about a group that never was is no error."""
    (info,) = await backend.info(SHARD, ["nobody"])
    assert (info.members, info.offset, info.epoch, info.history_length) == (0, 0, "", 0)


async def test_scan_finds_every_group(backend: Backend) -> None:
    """Going from cursor to cursor shows all groups, with members, history or both."""
    expected = {f"room.{number}" for number in range(40)}
    for name in expected:
        await join(backend, name)
    await publish(backend, outgoing("silent", b"1"))
    found: set[str] = set()
    cursor, server = 0, backend.server_of(SHARD)
    while True:
        cursor, names = await backend.scan(server, cursor, 10)
        found.update(names)
        if cursor == 0:
            break
    assert found == expected | {"silent"}


async def test_channel_is_a_queue(backend: Backend) -> None:
    """Messages of a channel come out as they went in, once each."""
    for number in range(3):
        assert await backend.send(SHARD, "tasks", b"%d" % number, capacity=10, reader="")
    received = [await take(backend, "tasks") for _ in range(4)]
    assert received == [b"0", b"1", b"2", None]


async def test_channel_has_a_capacity(backend: Backend) -> None:
    """A full channel refuses, and takes again once something was received."""
    assert await backend.send(SHARD, "tasks", b"1", capacity=1, reader="")
    assert not await backend.send(SHARD, "tasks", b"2", capacity=1, reader="")
    assert await take(backend, "tasks") == b"1"
    assert await backend.send(SHARD, "tasks", b"3", capacity=1, reader="")


async def test_message_expires(make_backend: MakeBackend) -> None:
    """An old message is not received, and makes room in a full channel."""
    backend = make_backend(expiry=0.05)
    assert await backend.send(SHARD, "tasks", b"old", capacity=1, reader="")
    await until(lambda: backend.send(SHARD, "tasks", b"new", capacity=1, reader=""))
    assert await take(backend, "tasks") == b"new"


async def test_reader_is_woken(backend: Backend) -> None:
    """A node hears of a message in its own channel and in a normal channel that it reads."""
    ear = await listen(backend, HERE)
    assert await backend.receive(SHARD, "tasks", reader=HERE) is None
    await backend.send(SHARD, "tasks", b"1", capacity=10, reader="")
    await backend.send(SHARD, "specific.here!1", b"2", capacity=10, reader=HERE)
    entries = await ear.wait_for(2)
    assert [(entry.kind, entry.name) for entry in entries] == [
        (wire.Kind.WAKE_UP, "tasks"),
        (wire.Kind.WAKE_UP, "specific.here!1"),
    ]


async def test_message_is_put_back_in_its_place(make_backend: MakeBackend) -> None:
    """It is again the oldest, wakes who waits, keeps its expiry, and is taken when full, too."""
    backend = make_backend(expiry=0.4)
    ear = await listen(backend, HERE)
    assert await take(backend, "tasks") is None
    for message in (b"1", b"2"):
        await backend.send(SHARD, "tasks", message, capacity=2, reader="")
    queued = await backend.receive(SHARD, "tasks", reader=THERE)
    assert queued is not None
    await backend.send(SHARD, "tasks", b"3", capacity=2, reader="")
    await backend.restore(SHARD, "tasks", queued)
    assert [await take(backend, "tasks") for _ in range(4)] == [b"1", b"2", b"3", None]
    await backend.restore(SHARD, "tasks", queued)
    assert [entry.name for entry in await ear.wait_for(2)] == ["tasks"] * 2
    await asyncio.sleep(0.45)
    assert await take(backend, "tasks") is None


async def test_message_wakes_who_has_waited_longest(make_backend: MakeBackend) -> None:
    """Once, and one that waits; whoever can't be told is passed over."""
    here, there = make_backend(), make_backend()
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


async def test_flush_deletes_just_its_own(make_backend: MakeBackend) -> None:
    """Another prefix on the same server keeps everything."""
    ours, theirs = make_backend(prefix="ours"), make_backend(prefix="ours.blue")
    for backend in (ours, theirs):
        await publish(backend, outgoing("a", b"1"))
    await ours.flush()
    assert await ours.history(SHARD, "a", 10) == []
    assert len(await theirs.history(SHARD, "a", 10)) == 1


async def test_ping_answers(backend: Backend) -> None:
    """A server that is there answers within a second."""
    assert 0 <= await backend.ping(0) < 1
