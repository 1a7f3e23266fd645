"""What a Redis Cluster costs while it is away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from shardlayer.broker.redis import cluster
from shardlayer.broker.redis.cluster import ClusterServers
from shardlayer.broker.redis.command_link import CommandLink
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.hosts import Host
from shardlayer.core.options import LayerOptions

CALLERS = 50
ROUNDS = 3


async def _is_away(*_: object) -> None:
    raise RedisConnectionError("nobody is there")


def _tasks_that_last() -> int:
    current = asyncio.current_task()
    return sum(not task.done() for task in asyncio.all_tasks() if task is not current)


async def test_calls_that_fail_leave_no_task_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the Cluster is away one task waits for it, however many calls fail meanwhile."""
    monkeypatch.setattr(CommandLink, "execute", _is_away)
    monkeypatch.setattr(cluster, "LEARN_INTERVAL", 0.0)  # each reading takes longer than that
    hosts = (Host(url="redis://127.0.0.1:1"),)
    servers = ClusterServers(LayerOptions(hosts=hosts, cluster=True))

    async def send(_: CommandLink) -> Any:
        raise AssertionError("there is no map yet")

    try:
        lasting = []
        for _ in range(ROUNDS):
            calls = (servers.run(shard % 4, send) for shard in range(CALLERS))
            for answer in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(answer, ShardUnavailable)
            lasting.append(_tasks_that_last())
        # One that waits, one that reads the map now and then; and a reading may be under way, with
        # its question to the one node.
        assert max(lasting) <= 4, lasting
    finally:
        await servers.aclose()
    assert _tasks_that_last() == 0
