"""Who listens where, and which environment each part gets."""

from __future__ import annotations

import pytest

from demo.devserver.errors import DevServerError
from demo.devserver.plan import make_plan

NAMES = ("redis", "kafka", "pool", "feed", "worker-1", "worker-2", "balancer")


def test_ports_follow_from_the_port() -> None:
    """The balancer has PORT, workers the next, Redis and Kafka two above; others listen nowhere."""
    plan = make_plan(NAMES, {"PORT": "9000"})
    assert [plan.port_of(name) for name in NAMES] == [9010, 9011, None, None, 9001, 9002, 9000]
    assert plan.url == "http://127.0.0.1:9000"
    assert plan.url_of("worker-2") == "http://127.0.0.1:9002"


def test_port_is_8000_by_default() -> None:
    """Without PORT, or with an empty one, the demo is where the README says."""
    assert make_plan(NAMES, {}).port == make_plan(NAMES, {"PORT": ""}).port == 8000


def test_parts_find_each_other_by_the_environment() -> None:
    """All parts are told the same addresses; a worker also its own port and name."""
    plan = make_plan(NAMES, {"PORT": "9000"})
    shared = {
        "PORT": "9000",
        "REDIS_URL": "redis://127.0.0.1:9010",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9011",
        "KAFKA_SESSION_TIMEOUT_MS": "3000",
        "SHARDLAYER_WORKERS": "worker-1=http://127.0.0.1:9001,worker-2=http://127.0.0.1:9002",
        "PYTHONUNBUFFERED": "1",
    }
    assert plan.environment_of("pool") == shared
    assert plan.environment_of("worker-2") == {
        **shared,
        "PORT": "9002",
        "SHARDLAYER_WORKER": "worker-2",
    }


def test_embedded_redis_has_a_password() -> None:
    """All parts are told the embedded server's password; one elsewhere has its own address."""
    plan = make_plan(NAMES, {"PORT": "9000"}, redis_password="secret")
    assert plan.environment()["REDIS_URL"] == "redis://:secret@127.0.0.1:9010"
    plan = make_plan(NAMES, {"REDIS_URL": "redis://a"}, redis_password="secret")
    assert plan.environment()["REDIS_URL"] == "redis://a"


def test_kafka_elsewhere_keeps_its_own_timeout() -> None:
    """The short session timeout is for the embedded broker's way to form a group."""
    plan = make_plan(NAMES, {"KAFKA_BOOTSTRAP_SERVERS": "broker:9092"})
    assert "KAFKA_SESSION_TIMEOUT_MS" not in plan.environment()


def test_part_that_is_elsewhere_is_not_started() -> None:
    """REDIS_URL takes the place of the embedded server, with all its addresses."""
    plan = make_plan(NAMES, {"REDIS_URL": "redis://a,redis://b"})
    assert plan.started == ("kafka", "pool", "feed", "worker-1", "worker-2", "balancer")
    assert plan.environment()["REDIS_URL"] == "redis://a,redis://b"


@pytest.mark.parametrize("name", NAMES)
def test_honcho_gives_every_part_the_same_plan(name: str) -> None:
    """honcho adds 100 to PORT for each process before; that is taken off again."""
    environ = {
        "PORT": str(9000 + 100 * NAMES.index(name)),
        "HONCHO_PROCESS_NAME": f"{name}.1",
    }
    assert make_plan(NAMES, environ) == make_plan(NAMES, {"PORT": "9000"})


def test_own_port_is_filled_in() -> None:
    """{PORT} in a command is the port of that part."""
    plan = make_plan(NAMES, {"PORT": "9000"})
    assert plan.arguments_of("worker-2", ["-p", "{PORT}", "{x}"]) == ["-p", "9002", "{x}"]


@pytest.mark.parametrize(
    ("port", "says"), [("http", "not a number"), ("0", "must be"), ("65530", "must be")]
)
def test_impossible_port_is_explained(port: str, says: str) -> None:
    """A PORT that is none, or leaves no room for the ports above it, is named."""
    with pytest.raises(DevServerError, match=f"PORT=.*{port}.*{says}"):
        make_plan(NAMES, {"PORT": port})
