"""What reaches Prometheus of what a process counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import pytest

from realtime.clients.client_counters import ClientCounters
from realtime.metrics.figures import read_all
from realtime.metrics.metric_sources import Process, Sources
from shardlayer import ShardedChannelLayer
from shardlayer.server.server_counters import ServerCounters
from tests.realtime.test_limits_documentation import OF_THE_SERVER, rows

# What docs/limits.md does not name, and operators look at as well.
OTHERS = {"origins_refused", "drained°", "loop_blocked°", "refused_stopping°"}


def marks(kind: type[ClientCounters | ServerCounters], first: int) -> dict[str, int]:
    """Return a number of its own for each counter."""
    return {item.name: first + number for number, item in enumerate(fields(kind))}


def numbers(figures: Mapping[str, object]) -> set[object]:
    """Return all counts of some figures."""
    found: set[object] = set()
    for value in figures.values():
        each = value.values() if isinstance(value, Mapping) else (value,)
        found.update(number for number in each if isinstance(number, int))
    return found


@pytest.fixture
def clients() -> dict[str, int]:
    """The counts of clients."""
    return marks(ClientCounters, 1_000_000)


@pytest.fixture
def server() -> dict[str, int]:
    """The counts of the server."""
    return marks(ServerCounters, 2_000_000)


async def test_each_counter_of_a_limit_reaches_prometheus(
    memory_layer: ShardedChannelLayer, clients: dict[str, int], server: dict[str, int]
) -> None:
    """Each that docs/limits.md names, with its own number."""
    sources = Sources(Process(role="worker", layer=memory_layer))
    sources.clients, sources.server = ClientCounters(**clients), ServerCounters(**server)
    found = numbers(read_all(sources))
    counts = clients | {name + OF_THE_SERVER: count for name, count in server.items()}
    named = set().union(*(row.counters for row in rows())) | OTHERS
    assert {name for name in named if counts[name] not in found} == set()
