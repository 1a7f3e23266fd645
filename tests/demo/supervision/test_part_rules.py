"""The order in which parts are stopped, and for how long each is waited for."""

from __future__ import annotations

import random
from pathlib import Path

from demo.devserver.procfile import parse_procfile
from demo.supervision.part_rules import WORKER_WAIT, needs, rule_of
from shardlayer.server.shutdown import SHUTDOWN_TIMEOUT

PROCFILE = Path(__file__).parents[3] / "Procfile"
NAMES = ["redis", "kafka", "pool", "feed", "relay", "worker-1", "worker-2", "balancer"]


def test_order() -> None:
    """Balancer, workers, pool and publishers, then Kafka and Redis."""
    shuffled = random.sample(NAMES, len(NAMES))
    ordered = sorted(shuffled, key=lambda name: (-rule_of(name).rank, NAMES.index(name)))
    assert ordered == [
        *("balancer", "worker-1", "worker-2", "pool", "feed", "relay", "kafka", "redis"),
    ]


def test_procfile_is_in_order() -> None:
    """What a part needs stands above it."""
    ranks = [rule_of(name).rank for name in parse_procfile(PROCFILE.read_text())]
    assert ranks == sorted(ranks)


def test_needs() -> None:
    """What a part needs is what is stopped after it; parts of one kind need nobody of theirs."""
    assert needs("worker-1", NAMES) == ["redis", "kafka", "pool", "feed", "relay"]
    assert needs("balancer", NAMES) == [name for name in NAMES if name != "balancer"]
    assert needs("redis", NAMES) == []


def test_workers_end_by_themselves() -> None:
    """Who supervises waits for longer than a worker takes at most."""
    assert WORKER_WAIT > SHUTDOWN_TIMEOUT + 10
