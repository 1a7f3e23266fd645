"""`python -m benchmarks faults`, small: real processes are killed and cut off, and nothing is lost.

The whole of it, with processes that are stopped, restarts of Kafka and faults at random, is run by
hand; see docs/benchmarks.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.faults.brokers import EMBEDDED
from benchmarks.faults.catalogue import FAULTS
from benchmarks.faults.plan import SMALL
from benchmarks.faults.run import suffer
from benchmarks.faults.system import System

SHORT = 2.0  # seconds for which bytes vanish: enough, since their connections are dead for good

pytestmark = [
    pytest.mark.slow,
    pytest.mark.kafka,
    pytest.mark.timeout(180),  # seconds; alone on a machine all of it takes 30
    pytest.mark.xdist_group("faults"),  # one system for all
]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Two Redis, two workers, a pool, Kafka, publishers and clients, in a small way."""
    folder = tmp_path_factory.mktemp("faults")
    with System(SMALL, broker=EMBEDDED, folder=folder, seed=1) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "victim"),
    [("kill-worker", 1), ("kill-pool", 0), ("kill-redis", 0), ("swallow", 0)],
)
def test_nothing_is_lost(system: System, name: str, victim: int) -> None:
    """Every client is handed every message that was acknowledged, once and in order, untold."""
    fault = FAULTS[name]
    row = suffer(system, fault, victim, min(fault.hold, SHORT))
    assert (row.silent, row.lost, row.twice, row.misordered, row.told) == (0, 0, 0, 0, 0), row
    assert row.well_ms is not None, row
    assert row.acknowledged == row.published
    assert row.delivered == row.published * SMALL.clients * SMALL.rooms_each / SMALL.rooms


def test_clients_are_told_what_a_redis_forgot(system: System) -> None:
    """One that starts empty has no history: what was missed is told, and the rest arrives."""
    fault = replace(FAULTS["empty-redis"], hold=0.0)
    row = suffer(system, fault, 1, fault.hold)
    assert (row.lost, row.twice, row.misordered) == (0, 0, 0), row
    assert row.notices
    assert row.well_ms is not None, row
