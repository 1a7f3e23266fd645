"""What processes say of themselves, on every place."""

from __future__ import annotations

import asyncio

import pytest

from shardlayer.broker.interface import Backend
from shardlayer.broker.process_reports import (
    MAX_REPORT,
    MAX_TOTALS,
    TOTALS_STEP,
    TOTALS_STEPS,
    ProcessReports,
)
from tests.contract.asking import SHARD
from tests.contract.conftest import MakeBackend, MakeLayer
from tests.waiting import until

TTL = 30.0  # seconds


async def kept(backend: Backend) -> ProcessReports:
    """Return what the shard keeps."""
    found = await backend.process_reports(SHARD)
    assert found is not None
    return found


async def test_others_read_what_a_process_said_last(make_backend: MakeBackend) -> None:
    """A report stands in the place of the one before; each process has its own."""
    first, second = make_backend(), make_backend()
    assert await first.report_process(SHARD, "one", b"old", ttl=TTL)
    assert await first.report_process(SHARD, "one", b'{"a b": 1}\x00\xff', ttl=TTL)
    assert await second.report_process(SHARD, "two", b"", ttl=TTL)
    found = await kept(second)
    assert {each.process: each.body for each in found.reports} == {
        "one": b'{"a b": 1}\x00\xff',
        "two": b"",
    }
    assert all(0 <= each.age < TTL for each in found.reports)


async def test_report_is_over_by_itself(backend: Backend) -> None:
    """A process that says nothing more is forgotten, and no other one is."""
    await backend.report_process(SHARD, "short", b"1", ttl=0.3)
    await backend.report_process(SHARD, "long", b"2", ttl=TTL)

    async def is_over() -> bool:
        return [each.process for each in (await kept(backend)).reports] == ["long"]

    await until(is_over)
    [lost] = (await kept(backend)).lost
    assert (lost.process, lost.body) == ("short", b"1")
    await backend.report_process(SHARD, "short", b"3", ttl=TTL)
    found = await kept(backend)
    assert len(found.reports) == 2
    assert found.lost == []


async def test_who_is_lost_is_told_of_for_a_while(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for ever, not of more than so many, and never of who ended in order."""
    modules = ("redis.report_scripts", "memory.store")
    for module in modules:
        monkeypatch.setattr(f"shardlayer.broker.{module}.LOST_FOR", 60.0)
        monkeypatch.setattr(f"shardlayer.broker.{module}.MAX_LOST", 2)
    for number in range(3):
        await backend.report_process(SHARD, f"p{number}", b"1", ttl=0.01 * (number + 1))
    await backend.report_process(SHARD, "ended", b"1", ttl=0.01)
    await backend.forget_process(SHARD, "ended")

    async def are_lost() -> bool:
        found = await kept(backend)
        return {each.process for each in found.lost} == {"p1", "p2"} and not found.reports

    await until(are_lost)
    for module in modules:
        monkeypatch.setattr(f"shardlayer.broker.{module}.LOST_FOR", 0.2)
    await backend.report_process(SHARD, "living", b"1", ttl=TTL)

    async def are_forgotten() -> bool:
        return not (await kept(backend)).lost

    await until(are_forgotten)
    assert [each.process for each in (await kept(backend)).reports] == ["living"]


async def test_process_is_forgotten(backend: Backend) -> None:
    """Who ends in order is gone at once; who said nothing is forgotten without an error."""
    await backend.report_process(SHARD, "one", b"1", ttl=TTL)
    await backend.forget_process(SHARD, "one")
    await backend.forget_process(SHARD, "nobody")
    assert (await kept(backend)).reports == []


async def test_age_grows(backend: Backend) -> None:
    """How long ago it was is told by the broker's clock."""
    await backend.report_process(SHARD, "one", b"1", ttl=TTL)
    await asyncio.sleep(0.05)  # the age itself is what is looked at
    [report] = (await kept(backend)).reports
    assert 0.04 <= report.age < TTL


async def test_totals_are_added_up(make_backend: MakeBackend) -> None:
    """What all processes bring in a step is one sum; it outlives them."""
    first, second = make_backend(), make_backend()
    before = (await kept(first)).now
    await first.report_process(SHARD, "one", b"", ttl=TTL, totals={"sent": 3, "held": 0.25})
    await second.report_process(SHARD, "two", b"", ttl=TTL, totals={"sent": 4})
    await first.forget_process(SHARD, "one")
    await second.forget_process(SHARD, "two")
    found = await kept(first)
    sums: dict[str, float] = {}
    for step, named in found.totals.items():  # two, if one ended just then
        assert int(before // TOTALS_STEP) <= step <= int(found.now // TOTALS_STEP)
        for name, amount in named.items():
            sums[name] = sums.get(name, 0) + amount
    assert sums == {"sent": 7, "held": 0.25}


async def test_reports_survive_a_flush(backend: Backend) -> None:
    """They are neither messages nor groups."""
    await backend.report_process(SHARD, "one", b"1", ttl=TTL, totals={"sent": 1})
    await backend.flush()
    found = await kept(backend)
    assert [each.process for each in found.reports] == ["one"]
    assert found.totals


async def test_too_much_is_refused(backend: Backend) -> None:
    """A report and its totals are bounded, and the most that is allowed is kept."""
    most = {f"n{number}": 1.0 for number in range(MAX_TOTALS)}
    assert await backend.report_process(SHARD, "one", b"x" * MAX_REPORT, ttl=TTL, totals=most)
    with pytest.raises(ValueError, match="bytes"):
        await backend.report_process(SHARD, "two", b"x" * (MAX_REPORT + 1), ttl=TTL)
    with pytest.raises(ValueError, match="totals"):
        await backend.report_process(SHARD, "two", b"", ttl=TTL, totals=most | {"more": 1.0})
    assert [each.process for each in (await kept(backend)).reports] == ["one"]


async def test_so_many_processes_and_no_more(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more than are kept is refused, and those that are kept go on."""
    for module in ("redis.report_scripts", "memory.memory_inspection"):
        monkeypatch.setattr(f"shardlayer.broker.{module}.MAX_REPORTS", 150)
    for number in range(150):
        assert await backend.report_process(SHARD, f"p{number}", b"1", ttl=TTL)
    assert not await backend.report_process(SHARD, "more", b"1", ttl=TTL, totals={"sent": 1})
    assert await backend.report_process(SHARD, "p7", b"2", ttl=TTL)
    found = await kept(backend)
    assert len(found.reports) == 150
    assert not found.totals
    await backend.forget_process(SHARD, "p8")
    assert await backend.report_process(SHARD, "more", b"1", ttl=TTL)


async def test_old_steps_go(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more steps are kept than there should be, however long it goes on."""
    for module in ("redis.report_scripts", "memory.memory_inspection"):
        monkeypatch.setattr(f"shardlayer.broker.{module}.TOTALS_STEP", 0.02)
        monkeypatch.setattr(f"shardlayer.broker.{module}.TOTALS_STEPS", 3)
    monkeypatch.setattr("shardlayer.broker.memory.store.TOTALS_STEPS", 3)
    seen: set[int] = set()

    async def enough() -> bool:
        await backend.report_process(SHARD, "one", b"", ttl=TTL, totals={"sent": 1})
        totals = (await kept(backend)).totals
        assert len(totals) <= 3
        seen.update(totals)
        return len(seen) > 8

    await until(enough)
    assert TOTALS_STEPS >= 60  # ten minutes, where nothing is patched


async def test_servers_tell_their_memory(make_layer: MakeLayer) -> None:
    """Each server says what its data take; one in this process does not know."""
    layer = make_layer()
    await layer.publish("room", b"1")
    found = await layer.server_memory(within=10)
    assert len(found) == len(await layer.ping(10))
    for memory in found.values():
        if memory is not None:
            assert memory.used > 0
            assert memory.limit >= 0


async def test_layer_reads_what_another_wrote(make_layer: MakeLayer) -> None:
    """A report is kept on two servers, if there are two, and read as one."""
    first, second = make_layer(), make_layer()
    await asyncio.gather(*(layer.publish("room", b"1") for layer in (first, second)))
    assert await first.report_process("one", b"1", ttl=TTL, totals={"sent": 2}, within=10) == {}
    known = await second.process_reports(within=10)
    assert known.is_known
    assert known.silent == {}
    servers = {place.server for place in await second.shard_places()}
    assert known.asked == min(len(servers), 2)
    assert [(each.process, each.body) for each in known.reports] == [("one", b"1")]
    assert sum(step["sent"] for step in known.totals.values()) == 2
    await second.forget_process("one", within=10)
    assert (await first.process_reports(within=10)).reports == []
