"""The scenarios that make deployments of their own."""

from __future__ import annotations

import orjson
import pytest

from demo.embedded.valkey import valkey_binary
from realtime.loadtest.load_failed import LoadFailed
from realtime.loadtest.matrix.loopback_house import redis_program
from tests.realtime.loadtest.load_site import LoadRun
from tests.realtime.process import run_manage

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("loadtest")]


def run(*arguments: str) -> LoadRun:
    """Run a load test."""
    command = [*arguments, "--redis-server", str(valkey_binary()), "--json"]
    return LoadRun(run_manage("realtime", "loadtest", *command, environ={}, timeout=110))


def test_redis_is_killed_and_nobody_is_lost() -> None:
    """Clients stay, others come meanwhile; what was published is told to all nodes first."""
    crowd = ("--clients", "30", "--rooms", "5", "--rate", "40", "--warm-up", "0.1", "--away", "0.5")
    tested = run("redis-kill", *crowd)
    assert tested.code == 0, tested.errors
    figures = tested.report["figures"]
    assert figures["complete"] == figures["checked"] == 30
    assert figures["fallback"] >= 1
    assert figures["losses"] == {}


def test_kill_without_publications_is_refused() -> None:
    """Nothing would be lost."""
    tested = run("redis-kill", "--rate", "0.1", "--append-only")
    assert tested.code == 3
    assert "--rate makes no publication in a second." in tested.errors


def test_matrix_compares_deployments() -> None:
    """Each is made, measured and thrown away; the report says which to choose."""
    crowd = ("--clients", "10", "--rooms", "5", "--rate", "50", "--seconds", "0.5")
    cells = ("--workers", "1", "--shards", "1", "32", "--redis", "1", "--warm-up", "0.1")
    tested = run("matrix", *cells, *crowd, "--rounds", "1")
    assert tested.code == 0, tested.errors
    assert [tested.found(name) for name in ("lost", "wrong", "failed")] == [0, 0, 0]
    found = [(each["workers"], each["shards"]) for each in tested.report["figures"]["cells"]]
    assert found == [(1, 32), (2, 1), (2, 32)]
    assert all(orjson.dumps(each["whole"]) > b"0" for each in tested.report["figures"]["cells"])
    assert tested.report["figures"]["default_cost"] > 0
    assert any(each.startswith("Shards with 1 Redis: ") for each in tested.report["findings"])
    assert any(each.startswith("Workers: ") for each in tested.report["findings"])


def test_missing_redis_is_said() -> None:
    """Before anything is started."""
    with pytest.raises(LoadFailed, match=r"no-such-redis is not installed; --redis-server"):
        redis_program("no-such-redis")
