"""Processes that start while their Redis Cluster is away: they say so, wait, and find it."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import orjson
import pytest

from demo.embedded import EmbeddedValkey, free_port
from demo.embedded.ports import LOOPBACK
from tests.contract.bare import OPTIONS, join
from tests.realtime.process import BIN, Process, manage
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow


class Site:
    """A Cluster of one node that is not up yet, and processes that expect it."""

    def __init__(self, directory: Path) -> None:
        self.node = EmbeddedValkey(directory=directory / "node", port=free_port(), options=OPTIONS)
        self._directory = directory

    def run(self, command: list[str]) -> Process:
        """Return a process, not started."""
        return Process(
            command,
            log=self._directory / "process.log",
            DATABASE_URL=f"sqlite:///{self._directory}/db.sqlite3",
            METRICS_DIRECTORY=str(self._directory / "metrics"),
            REDIS_URL=f"redis://{self.node.address}",
            REDIS_CLUSTER="1",
            KAFKA_BOOTSTRAP_SERVERS=f"{LOOPBACK}:{free_port()}",
        )

    def begin(self) -> None:
        """Start the Cluster."""
        self.node.start()
        join([self.node])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site without its Cluster."""
    made = Site(tmp_path)
    yield made
    made.node.kill()


def readiness(port: int) -> tuple[int, dict[str, Any]]:
    """Ask a worker, from its own machine."""
    connection = HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
    try:
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        return response.status, orjson.loads(response.read())
    finally:
        connection.close()


def test_worker_waits(site: Site) -> None:
    """It serves, is not ready, says why in one line, and is ready once the Cluster is there."""
    port = free_port()
    command = [str(BIN / "shardlayer-daphne"), "-p", str(port), "config.asgi:application"]
    with site.run(command) as worker:
        worker.serves(port)
        status, told = readiness(port)
        assert (status, told["status"]) == (503, "not ready")
        [reason] = told["reasons"]
        assert site.node.address in reason
        worker.says("Can't reach the Cluster; waiting for it.")
        site.begin()
        wait_until(lambda: readiness(port)[0] == 200)
        assert worker.stop() == 0
    assert worker.output().count("Can't reach the Cluster") == 1
    assert "Traceback" not in worker.output()


def test_pool_waits(site: Site) -> None:
    """It says so in one line, and reads Kafka only once the Cluster is there."""
    with site.run(manage("runkafka")) as pool:
        pool.says("Redis is not available, waiting for it: ")
        site.begin()
        pool.says("Redis is back after ")
        pool.says("Kafka at ")
        assert pool.stop() == 0
    before, _, after = pool.output().partition("Redis is back after ")
    assert before.count("Redis is not available") == 1
    assert "Kafka at " not in before
    assert "Redis is not available" not in after
    assert "Traceback" not in pool.output()


def test_pool_ends_while_it_waits(site: Site) -> None:
    """It is not held up by what is away."""
    with site.run(manage("runkafka")) as pool:
        pool.says("Redis is not available, waiting for it: ")
        assert pool.stop() == 0
    assert "Traceback" not in pool.output()
