"""What a process tells of itself, on a layer in memory."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import orjson
import pytest
from pytest_django import Settings

from realtime.metrics.metric_sources import Process, Sources
from realtime.nodes.node_report import NodeIdentity, compose
from realtime.nodes.readings import NodeReading
from realtime.nodes.report_counters import counters
from realtime.nodes.reporter import Reporter
from realtime.operations import anodes
from shardlayer import MAX_REPORT, ShardedChannelLayer
from tests.realtime.conftest import channel_layers
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until


async def reporter_of(layer: ShardedChannelLayer, interval: float = 1.0) -> Reporter:
    """Return a reporter of a worker without a server."""
    process = Process(role="worker", layer=layer, node=await layer.node())
    return Reporter(process, interval=interval, within=5)


async def test_report_is_made_again_and_again(memory_layer: ShardedChannelLayer) -> None:
    """At once, then each interval; with its end it is gone."""
    reporter = await reporter_of(memory_layer, interval=0.05)
    reporter.start()
    await until(lambda: _is_told(cpu_known=True))
    await reporter.aclose()
    assert (await anodes()).nodes == ()


async def _is_told(*, cpu_known: bool) -> bool:
    found = (await anodes()).nodes
    return len(found) == 1 and (found[0].cpu is not None) == cpu_known


async def test_off_is_off(memory_layer: ShardedChannelLayer) -> None:
    """With 0 nothing runs and nothing is told."""
    reporter = await reporter_of(memory_layer, interval=0)
    reporter.start()
    await reporter.aclose()
    assert (await anodes()).nodes == ()


async def test_first_report_knows_no_rates(memory_layer: ShardedChannelLayer) -> None:
    """What is held is known at once; what is done a second only by the second report."""
    reporter = await reporter_of(memory_layer)
    node = await memory_layer.node()
    (await node.join("room", RecordingSink())).release()
    await reporter.report()
    [told] = (await anodes()).nodes
    assert (told.id, told.rooms, told.subscriptions) == (str(node.id), 1, 1)
    assert (told.cpu, told.deliveries, told.publications) == (None, None, None)
    assert (told.connections, told.capacity, told.can_drain) == (None, None, False)
    await memory_layer.publish("room", b"1")
    await reporter.report()
    [told] = (await anodes()).nodes
    assert told.publications is not None
    assert told.publications > 0
    assert told.cpu is not None


async def test_reserved_rooms_are_nobodys(memory_layer: ShardedChannelLayer) -> None:
    """The workers' own rooms count nowhere, as on every other page."""
    from realtime.rooms.room_names import OWN_ROOMS

    node = await memory_layer.node()
    for room in OWN_ROOMS:
        (await node.join(room, RecordingSink())).release()
    reporter = await reporter_of(memory_layer)
    await reporter.report()
    [told] = (await anodes()).nodes
    assert (told.rooms, told.subscriptions) == (0, 0)


async def test_dead_redis_harms_nothing(settings: Settings) -> None:
    """The task goes on, is not known as failing, and waits for nothing long."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=["redis://127.0.0.1:1"])
    from realtime.sharded_layer import sharded_layer

    layer = sharded_layer()
    process = Process(role="worker", layer=layer, node=await layer.node())
    reporter = Reporter(process, interval=0.05, within=0.2)
    reporter.start()
    missed = counters.missed
    await until(lambda: counters.missed >= missed + 3)
    assert not [name for name in layer.failing_tasks if "tell of this process" in name]
    begun = time.monotonic()
    await reporter.aclose()
    assert time.monotonic() - begun < 5
    await layer.close()


async def test_large_report_loses_its_details(memory_layer: ShardedChannelLayer) -> None:
    """A report that would be refused is made smaller, and who it is of stays."""
    process = Process(role="worker", layer=memory_layer, node=await memory_layer.node())
    sources = Sources(process)
    now = NodeReading.of(process, sources)
    now = replace(now, bundles={n: ([10**9] * 11, [10**9] * 11) for n in range(1_000)})
    identity = NodeIdentity(id="n", role="worker", interval=5, lease_ttl=60, can_drain=True)
    body = compose(
        identity,
        process,
        sources,
        now=now,
        before=replace(now, bundles={}),
        minute_ago=replace(now, bundles={}),
    )
    assert len(body) <= MAX_REPORT
    told = orjson.loads(body)
    assert told["id"] == "n"
    assert "bundles" not in told
    assert "shards" in told


async def test_cost_does_not_grow_with_rooms(memory_layer: ShardedChannelLayer) -> None:
    """10,000 rooms cost what 10 do: nothing of a report looks at each of them."""
    node = await memory_layer.node()

    class Counting(dict):  # type: ignore[type-arg]
        """Rooms that nobody may go through."""

        def values(self) -> None:  # type: ignore[override]
            raise AssertionError("a report goes through all rooms")

        __iter__ = items = values  # type: ignore[assignment]

    await asyncio.gather(*(node.join(f"room.{n}", RecordingSink()) for n in range(50)))
    hubs = node._rooms.hubs
    kept = [hub.rooms for hub in hubs]
    for hub in hubs:
        hub.rooms = Counting(hub.rooms)
    try:
        await (await reporter_of(memory_layer)).report()
    finally:
        for hub, rooms in zip(hubs, kept, strict=True):
            hub.rooms = rooms
    [told] = (await anodes()).nodes
    assert (told.rooms, told.subscriptions) == (50, 50)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"role": 3, "pid": "x"}'])
async def test_what_others_wrote_is_no_fault(
    memory_layer: ShardedChannelLayer, body: bytes
) -> None:
    """Whatever stands there, pages are made of the rest."""
    await (await reporter_of(memory_layer)).report()
    await memory_layer.report_process("odd", body, ttl=30, within=5)
    assert [each.id for each in (await anodes()).nodes if each.role == "worker"]


async def test_one_process_more_than_are_kept(
    memory_layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted as missed, harms nothing, and is taken once there is room."""
    monkeypatch.setattr("shardlayer.broker.memory.memory_inspection.MAX_REPORTS", 1)
    await memory_layer.report_process("other", b"{}", ttl=30, within=5)
    reporter = await reporter_of(memory_layer)
    taken, missed = counters.taken, counters.missed
    await reporter.report()
    assert (counters.taken, counters.missed) == (taken, missed + 1)
    await memory_layer.forget_process("other", within=5)
    await reporter.report()
    assert (counters.taken, counters.missed) == (taken + 1, missed + 1)
