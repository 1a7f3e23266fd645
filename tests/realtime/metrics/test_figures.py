"""What reaches Prometheus of what a process counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from realtime.clients.client_counters import ClientCounters
from realtime.metrics.figures import read_all
from realtime.metrics.metric_sources import Measured, Process, Sources
from shardlayer import ShardedChannelLayer
from shardlayer.balancer.balancer_counters import BalancerCounters
from shardlayer.server.server_counters import ServerCounters
from tests.realtime.test_limits_documentation import OF_THE_BALANCER, OF_THE_SERVER, rows

# What docs/limits.md does not name, and operators look at as well.
OTHERS = {"origins_refused", "drained°", "loop_blocked°", "refused_stopping°"}


def marks(
    kind: type[ClientCounters | ServerCounters | BalancerCounters], first: int
) -> dict[str, int]:
    """Return a number of its own for each counter."""
    return {item.name: first + number for number, item in enumerate(fields(kind))}


def numbers(figures: Mapping[str, object]) -> set[object]:
    """Return all counts of some figures."""
    found: set[object] = set()
    for value in figures.values():
        each = value.values() if isinstance(value, Mapping) else (value,)
        found.update(number for number in each if isinstance(number, int))
    return found


async def test_each_counter_of_a_limit_reaches_prometheus(
    memory_layer: ShardedChannelLayer,
) -> None:
    """Each that docs/limits.md names, with its own number."""
    clients = marks(ClientCounters, 1_000_000)
    server = marks(ServerCounters, 2_000_000)
    balancer = marks(BalancerCounters, 3_000_000)
    sources = Sources(Process(role="worker", layer=memory_layer))
    sources.clients, sources.server = ClientCounters(**clients), ServerCounters(**server)
    alone = Sources(Measured(role="balancer", balancer=BalancerCounters(**balancer)))
    found = numbers(read_all(sources)) | numbers(read_all(alone))
    counts = (
        clients
        | {name + OF_THE_SERVER: count for name, count in server.items()}
        | {name + OF_THE_BALANCER: count for name, count in balancer.items()}
    )
    named = set().union(*(row.counters for row in rows())) | OTHERS
    assert {name for name in named if counts[name] not in found} == set()


def test_a_balancer_has_its_own_figures_alone() -> None:
    """Nothing of a layer, which it has not."""
    sources = Sources(Measured(role="balancer", balancer=BalancerCounters()))
    sources.server = None  # which only other tests have brought into this process
    found = read_all(sources)
    rest = {name for name in found if not name.startswith("balancer_")}
    process = {"process_resident_bytes", "process_cpu_seconds_total"}
    assert rest == {"event_loop_delay_seconds"} | process
