"""What nodes are told beside a publication: since when it is under way, and its trace."""

from __future__ import annotations

import pytest

from shardlayer.broker.values import Batch
from shardlayer.core import wire
from shardlayer.core.tracing import preface_of
from shardlayer.core.types import Mark
from shardlayer.layer import ShardedChannelLayer
from tests.contract.asking import (
    HERE,
    SHARD,
    BrokerWithLeases,
    join,
    listen,
    outgoing,
)
from tests.contract.conftest import MakeLeases
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BEGAN = 1_700_000_000.25  # seconds since 1970


@pytest.fixture
async def broker(make_leases: MakeLeases) -> BrokerWithLeases:
    """A broker that everybody can hear."""
    return make_leases()


async def test_nodes_hear_of_a_trace_right_before_the_publication(broker: BrokerWithLeases) -> None:
    """And when the batch began its way; neither takes an offset, nor stands in the history."""
    ear = await listen(broker, HERE)
    await join(broker, "a")
    items = [
        outgoing("a", b"1"),
        outgoing("a", b"2")._replace(preface=preface_of("a", TRACE)),
        outgoing("a", b"3"),
    ]
    batch = Batch(writer="w", number=1, items=items, epoch="k3k3k3k3", since=BEGAN)
    published = await broker.publish(broker.bundle_of(SHARD), batch)
    assert [place.offset for place in published.positions if place] == [1, 2, 3]
    heard = await ear.wait_for(5)
    assert [(entry.kind, entry.payload) for entry in heard[1:]] == [
        (wire.Kind.PUBLICATION, b"1"),
        (wire.Kind.TRACE, TRACE),
        (wire.Kind.PUBLICATION, b"2"),
        (wire.Kind.PUBLICATION, b"3"),
    ]
    assert heard[0].kind == wire.Kind.STAMP
    assert wire.unpack_stamp(heard[0].payload) == BEGAN
    page = await broker.page(SHARD, "a", 10)
    assert [(each.offset, each.data) for each in page.publications] == [
        (1, b"1"),
        (2, b"2"),
        (3, b"3"),
    ]


async def test_what_is_skipped_takes_its_trace_with_it(broker: BrokerWithLeases) -> None:
    """A repeat is not told, and its trace neither: it would seem to be the next one's."""
    ear = await listen(broker, HERE)
    await join(broker, "a")
    first = outgoing("a", b"1")._replace(mark=Mark("t/0", 5), preface=preface_of("a", TRACE))
    second = outgoing("a", b"2")._replace(mark=Mark("t/0", 6))
    for number, items in enumerate(([first], [first, second]), 1):
        batch = Batch(writer="w", number=number, items=items, epoch="k3k3k3k3")
        await broker.publish(broker.bundle_of(SHARD), batch)
    kinds = [entry.kind for entry in await ear.wait_for(3)]
    assert kinds == [wire.Kind.TRACE, wire.Kind.PUBLICATION, wire.Kind.PUBLICATION]


async def test_age_counts_from_the_beginning(layer: ShardedChannelLayer) -> None:
    """One value for a round: from `since` where it is given, else from `publish`."""
    sink = RecordingSink()
    joined = await (await layer.node()).join("general", sink)
    joined.release()
    await layer.publish("general", b"1")
    await until(lambda: sum(layer.histograms().end_to_end_seconds.counts) == 1)
    assert layer.histograms().end_to_end_seconds.sum < 30
    await layer.publish_marked([("general", b"2", Mark("t/0", 1))], since=BEGAN)
    await until(lambda: sum(layer.histograms().end_to_end_seconds.counts) == 2)
    assert layer.histograms().end_to_end_seconds.sum > 1e7
