"""What an operator may ask and clear up, on every place; the other roles make what there is."""

from __future__ import annotations

import itertools
import time

from shardlayer.broker.interface import Backend
from shardlayer.core.types import Mark, Position
from tests.contract.asking import (
    HERE,
    POLICY,
    SHARD,
    THERE,
    join,
    outgoing,
    publish,
    until_targeted,
)
from tests.contract.conftest import MakeBackend
from tests.waiting import until


async def test_unknown_group_has_nothing(backend: Backend) -> None:
    """Asking about a group that never was is no error."""
    (info,) = await backend.info(SHARD, ["nobody"])
    assert (info.members, info.offset, info.epoch, info.history_length) == (0, 0, "", 0)


async def test_members_are_reported(backend: Backend) -> None:
    """What nodes report is what the registry shows."""
    await join(backend, "a", members=1)
    await join(backend, "a", node=THERE, members=1)
    await backend.report(SHARD, HERE, {"a": 40})
    (info,) = await backend.info(SHARD, ["a"])
    assert info.nodes == {"here": 40, "there": 1}
    assert info.members == 41


async def test_many_groups_are_surveyed(backend: Backend) -> None:
    """In one call it is said of groups how many are in them and where they stand."""
    await join(backend, "a", members=3)
    await join(backend, "a", node=THERE, members=2)
    await publish(backend, outgoing("a", b"1"), outgoing("b", b"1"))
    await publish(backend, outgoing("b", b"2"), number=2)
    full, silent, nobody = await backend.survey(SHARD, ["a", "b", "nobody"])
    assert (full.room, full.shard, full.members, full.nodes, full.offset) == ("a", SHARD, 5, 2, 1)
    assert (silent.members, silent.nodes, silent.offset, silent.people) == (0, 0, 2, 0)
    assert len(silent.epoch) == 8
    assert (nobody.members, nobody.nodes, nobody.offset, nobody.epoch) == (0, 0, 0, "")
    assert nobody.idle is None


async def test_history_says_when_and_whence(backend: Backend) -> None:
    """What is read of a history has its time, to a tenth, and its source if it has one."""
    begun = time.time()
    record, second = Mark("events/0@7a", 17), Mark("events/0@7a", 17, 1)
    await publish(
        backend,
        outgoing("a", b"1"),
        outgoing("a", b"2")._replace(mark=record),
        outgoing("a", b"3")._replace(mark=second),
    )
    held = await backend.history(SHARD, "a", 10)
    assert [item.mark for item in held] == [None, record, second]
    for item in held:
        assert item.time is not None
        assert begun - 0.2 < item.time < time.time() + 0.2  # both cut to tenths
    joined = await join(backend, "a", since=Position(0, "k3k3k3k3"))
    assert [item.data for item in joined.publications] == [b"1", b"2", b"3"]


async def test_survey_says_when_the_last_publication_was(make_backend: MakeBackend) -> None:
    """A group with a history says for how long nothing was published to it."""
    backend = make_backend(history={"*": POLICY})
    begun = time.monotonic()
    await publish(backend, outgoing("a", b"1"))
    (group,) = await backend.survey(SHARD, ["a"])
    assert group.idle is not None
    assert group.idle <= time.monotonic() - begun + 0.01  # milliseconds are rounded


async def test_survey_counts_who_is_alive(make_backend: MakeBackend) -> None:
    """A node whose lease has ended counts no more, before anybody has cleared up."""
    backend = make_backend(lease_ttl=0.2)
    await join(backend, "a", members=3)
    await join(backend, "a", node=THERE, members=2)

    async def is_gone() -> bool:
        await backend.renew(SHARD, THERE)
        (group,) = await backend.survey(SHARD, ["a"])
        return (group.members, group.nodes) == (2, 1)

    await until(is_gone)


async def test_history_is_cleared_and_offsets_go_on(make_backend: MakeBackend) -> None:
    """Nothing is held any more; who had less is told that something is missing."""
    backend = make_backend(history={"*": POLICY})
    await publish(backend, outgoing("a", b"1"), outgoing("a", b"2"), outgoing("b", b"1"))
    had = Position(offset=1, epoch="k3k3k3k3")
    assert await backend.clear_history(SHARD, "a")
    assert await backend.history(SHARD, "a", 10) == []
    assert len(await backend.history(SHARD, "b", 10)) == 1
    reply = await join(backend, "a", since=had)
    assert not reply.recovered
    assert reply.position == Position(offset=2, epoch="k3k3k3k3")
    await publish(backend, outgoing("a", b"3"), number=2)
    assert [each.offset for each in await backend.history(SHARD, "a", 10)] == [3]
    assert await backend.clear_history(SHARD, "nobody")


async def test_what_is_gone_is_pruned(make_backend: MakeBackend) -> None:
    """Nodes without a lease leave groups that nothing is published to; others stay."""
    brief, backend = make_backend(lease_ttl=0.2), make_backend()
    for group in ("a", "b"):
        await join(brief, group)
        await join(backend, group, node=THERE)
    forgotten = 0

    async def pruned() -> bool:
        nonlocal forgotten
        forgotten += await backend.prune(SHARD, ["nobody", "a", "b"])
        return forgotten == 2

    await until(pruned)
    for info in await backend.info(SHARD, ["a", "b"]):
        assert set(info.nodes) == {"there"}


async def test_one_node_sweeps_a_server(make_backend: MakeBackend) -> None:
    """Of all that want to search a server within a while the first does."""
    first, second = make_backend(), make_backend()
    for backend in (first, second):  # they have their connections, and know a Cluster's map
        await backend.ping(0)
    mine, its = first.server_of(SHARD), second.server_of(SHARD)  # each counts its own way
    begun = time.monotonic()
    assert await first.claim_sweep(mine, 3.0)
    claimed = await second.claim_sweep(its, 3.0)
    assert not claimed or time.monotonic() - begun > 3.0  # a machine that busy proves nothing
    await until(lambda: second.claim_sweep(its, 3.0))


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


async def test_flush_deletes_just_its_own(make_backend: MakeBackend) -> None:
    """Another prefix on the same server keeps everything."""
    ours, theirs = make_backend(prefix="ours"), make_backend(prefix="ours.blue")
    for backend in (ours, theirs):
        await publish(backend, outgoing("a", b"1"))
    await ours.flush()
    assert await ours.history(SHARD, "a", 10) == []
    assert len(await theirs.history(SHARD, "a", 10)) == 1


async def test_ping_answers(backend: Backend) -> None:
    """A server that is there answers, and it is told within how many seconds."""
    assert 0 <= await backend.ping(0) < 10


async def test_node_without_a_lease_is_seen_no_more(make_backend: MakeBackend) -> None:
    """The next publication forgets it."""
    brief, backend = make_backend(lease_ttl=0.2), make_backend()
    await join(brief, "a", members=3)
    await join(backend, "a", node=THERE)
    numbers = itertools.count(1)

    async def forgotten() -> bool:
        await publish(brief, outgoing("a", b"1"), number=next(numbers))
        (info,) = await backend.info(SHARD, ["a"])
        return set(info.nodes) == {"there"}

    await until(forgotten)


async def test_targeted_dispatch_can_be_turned_off(make_backend: MakeBackend) -> None:
    """All nodes are then told of everything."""
    brief, backend = make_backend(lease_ttl=1.0), make_backend()
    await join(backend, "a")
    await until_targeted(brief)
    await backend.renew(SHARD, HERE)
    await backend.set_targeted(SHARD, 0)
    assert (await publish(brief, outgoing("a", b"1"), number=9_998)).targeted == 0
    await backend.set_targeted(SHARD, 100)
    assert (await publish(brief, outgoing("a", b"1"), number=9_999)).targeted == 1
