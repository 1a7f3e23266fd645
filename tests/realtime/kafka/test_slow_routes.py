"""A group that deals its partitions out anew while a route takes its time."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence

import pytest

from realtime.kafka.brokers import Brokers
from realtime.kafka.reading.size_limits import Limits
from realtime.kafka.routing.header_rules import Record
from realtime.kafka.routing.header_rules import route as by_header
from shardlayer import ShardedChannelLayer
from tests.realtime.kafka.numbered import arrived, expected, produce, published
from tests.realtime.kafka.pools import Pools
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.kafka]


class HeldRoute:
    """A route that is held at the first records from some numbers on.

    Attributes:
        held: How many calls have been held.
        goes_on: Set to let go of the one that is held.
    """

    def __init__(self, *numbers: int) -> None:
        self.held = 0
        self.goes_on = threading.Event()
        self._numbers = list(numbers)

    def __call__(self, record: Record) -> Sequence[str]:
        """Return the rooms that its headers name."""
        if self._numbers and json.loads(record.value or b"{}")["n"] >= self._numbers[0]:
            del self._numbers[0]
            self.goes_on.clear()
            self.held += 1
            self.goes_on.wait(PATIENCE)
        return by_header(record)


async def test_partitions_that_are_kept_go_on_where_they_were(
    brokers: Brokers,
    topic: str,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What was fetched before is fetched once more, and nothing else: no member joins again."""
    caplog.set_level("INFO", "realtime")
    pools.limits = Limits(payload=1000, route_time=2 * PATIENCE)
    pools.route = route = HeldRoute(50, 60)
    async with pools.running():
        await produce(brokers, topic, 0, 50)
        await arrived(redis_layer, 50)
        await produce(brokers, topic, 50, 10)
        await until(lambda: route.held == 1)
        await produce(brokers, topic, 60, 190)  # is fetched together, since the first is held
        route.goes_on.set()
        await until(lambda: route.held == 2)
        async with pools.running():
            await until(lambda: caplog.text.count("Reading 4 partition(s)") >= 2, PATIENCE)
            route.goes_on.set()
            await arrived(redis_layer, 250)
            await until(lambda: pools.have_committed(250), PATIENCE)
    assert "begins anew" not in caplog.text
    assert await published(redis_layer) == expected(250)
