"""A broker that is being built passes the part of the suite that it has, alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shardlayer.broker.interface import Backend, Broker, Inspection, Leases, Presence, Queues, Role

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run tests of the suite on the bus of partial.py."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-q"]
    place = ("--place", "tests.contract.partial:place")
    return subprocess.run(
        [*command, *place, *arguments],
        cwd=HERE.parent.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_broker_of_one_role_passes_its_part() -> None:
    """No test of publications needs leases, queues or inspection."""
    done = run(str(HERE / "test_broker.py"))
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_part_that_is_not_there_fails() -> None:
    """What the suite says of the partial broker's leases is no pass."""
    done = run(str(HERE / "test_leases.py"))
    assert done.returncode == 1, done.stdout
    assert "PartialBroker" in done.stdout
    assert " passed" not in done.stdout


@pytest.mark.parametrize("role", [Broker, Leases, Queues, Presence, Inspection])
def test_no_duty_is_of_two_roles(role: type[Role]) -> None:
    """Each operation has one place, and the roles together are a backend."""
    roles = {Broker, Leases, Queues, Presence, Inspection}
    own = role.__abstractmethods__ - Role.__abstractmethods__
    assert own
    for other in roles - {role}:
        assert own.isdisjoint(other.__abstractmethods__)
    together = frozenset[str]().union(*(each.__abstractmethods__ for each in roles))
    assert together == Backend.__abstractmethods__
