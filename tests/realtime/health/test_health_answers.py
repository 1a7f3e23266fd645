"""Who is told what, and what a worker says of itself."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from pytest_django import Settings

from realtime.health.health_answers import LIVE, Asker, readiness
from shardlayer import ShardedChannelLayer, Worker

KEY = "a key for the tests"


@dataclass
class FakeWorker:
    """What our server tells of itself."""

    is_draining: bool = False
    held: int = 7
    capacity: int = 10
    is_joined: bool = True

    @property
    def is_full(self) -> bool:
        return self.held >= self.capacity

    def drain(self) -> None: ...

    def warn_of_blocking(self) -> None: ...


def asker(address: str | None = "192.0.2.1", worker: Worker | None = None, **headers: str) -> Asker:
    """Return somebody who asks, with headers as `x_real_ip="…"`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Asker(address=address, headers=named, worker=worker)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_may_know(address: str) -> None:
    """Who asks from here is told the details."""
    assert asker(address).may_know


@pytest.mark.parametrize(
    "stranger",
    [
        asker(),
        asker("::ffff:192.0.2.1"),
        asker("10.0.0.1"),
        asker(None),
        asker("unix"),
        asker("127.0.0.1", x_forwarded_for="192.0.2.1"),
        asker("127.0.0.1", x_forwarded_for="127.0.0.1"),
        asker("127.0.0.1", forwarded="for=192.0.2.1"),
        asker("127.0.0.1", via="1.1 proxy"),
        asker("127.0.0.1", x_real_ip="192.0.2.1"),
    ],
)
def test_strangers_may_not(stranger: Asker) -> None:
    """Nor may those for whom a proxy on this machine asks."""
    assert not stranger.may_know
    assert LIVE.body(stranger) == {"status": "live"}


@pytest.mark.parametrize(
    ("given", "may"),
    [
        (f"Bearer {KEY}", True),
        (f"bearer {KEY}", True),
        (f"Bearer {KEY} ", False),
        ("Bearer ", False),
        (KEY, False),
        (f"Basic {KEY}", False),
        ("Bearer \xe4", False),
    ],
)
def test_key(given: str, may: bool, settings: Settings) -> None:
    """`HEALTH_KEY` opens the details from anywhere; without one no key does."""
    settings.REALTIME = {"HEALTH_KEY": KEY}
    assert asker(authorization=given).may_know is may
    settings.REALTIME = {}
    assert not asker(authorization=given).may_know


async def test_worker_that_stops(memory_layer: ShardedChannelLayer) -> None:
    """It is not ready, whatever Redis says."""
    answer = await readiness(FakeWorker(is_draining=True, held=10))
    assert answer.code == 503
    assert answer.details == {"status": "draining", "connections": 10, "capacity": 10}
    assert answer.body(asker()) == {"status": "draining"}


async def test_worker_that_no_balancer_has(memory_layer: ShardedChannelLayer) -> None:
    """It gets nobody, however well Redis is; it is alive all the same, and may be draining."""
    worker = FakeWorker(is_joined=False)
    answer = await readiness(worker)
    assert answer.code == 503
    assert answer.details["status"] == "not joined"
    assert answer.details["connections"] == 7
    assert "--balancer" in answer.details["reasons"][0]
    assert answer.body(asker()) == {"status": "not joined"}
    worker.is_draining = True
    assert (await readiness(worker)).details["status"] == "draining"
    worker.is_draining, worker.is_joined = False, True
    assert (await readiness(worker)).code == 200


async def test_worker_that_is_full(memory_layer: ShardedChannelLayer) -> None:
    """It gets nobody until somebody leaves."""
    worker = FakeWorker(held=10)
    answer = await readiness(worker)
    assert (answer.code, answer.details["status"]) == (503, "full")
    worker.held = 9
    answer = await readiness(worker)
    assert (answer.code, answer.details["status"]) == (200, "ready")
    assert answer.details["connections"] == 9
    assert answer.body(asker()) == {"status": "ready"}
