"""Redis servers that write to their disk now and then lose nothing that nobody is told of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.faults.brokers import EMBEDDED
from benchmarks.faults.catalogue import FAULTS
from benchmarks.faults.plan import SMALL
from benchmarks.faults.run import suffer
from benchmarks.faults.system import EVERYSEC, SNAPSHOTS, System

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),  # seconds; alone on a machine all of it takes 20
    pytest.mark.xdist_group("faults-disks"),  # one system for all
]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Two Redis, each with another disk, two workers, a publisher and clients, in a small way."""
    plan, folder = replace(SMALL, kafka=False), tmp_path_factory.mktemp("disks")
    disks = (EVERYSEC, SNAPSHOTS)
    with System(plan, broker=EMBEDDED, folder=folder, seed=1, disks=disks) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "victim"), [("restart-redis", 0), ("kill-everysec", 0), ("snapshot-redis", 1)]
)
def test_what_is_lost_is_told(system: System, name: str, victim: int) -> None:
    """Every client gets all, once and in order, or is told; a clean restart is told to nobody."""
    fault = FAULTS[name]
    row = suffer(system, fault, victim, fault.hold)
    assert (row.lost, row.twice, row.misordered) == (0, 0, 0), row
    assert row.well_ms is not None, row
    assert row.acknowledged == row.published
    if not fault.forgets:
        assert (row.told, row.notices) == (0, 0), row
    if name == "snapshot-redis":
        assert row.notices, row
