"""A Redis that hangs costs no node its leases on the others."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.core.options import PREFIX, SHARDS
from shardlayer.core.sharding import hash_tags
from shardlayer.layer import ShardedChannelLayer
from tests.waiting import until

pytestmark = pytest.mark.slow

LEASE = 1.5  # seconds; far less than a call to a server that hangs takes to fail
TAGS = hash_tags(PREFIX, SHARDS)


async def test_lease_on_the_others_is_renewed(tmp_path: Path) -> None:
    """While one server is stopped for several leases, the node renews its lease on the other."""
    with (
        EmbeddedValkey(directory=tmp_path / "0") as hanging,
        EmbeddedValkey(directory=tmp_path / "1") as other,
    ):
        layer = ShardedChannelLayer(hosts=[hanging.url, other.url], lease_ttl=LEASE)
        async with Redis.from_url(hanging.url) as first, Redis.from_url(other.url) as second:
            node = await layer.node()

            async def left(redis: Redis, shard: int) -> float:
                """Return for how many seconds a lease lasts, below 0 when it has ended."""
                ends = await redis.zscore(ShardKeys(TAGS[shard]).alive, node.id)
                return -1.0 if ends is None else ends / 1e3 - time.time()

            async def have_begun() -> bool:
                return await left(first, 0) > 0 and await left(second, 1) > 0

            await until(have_begun)
            assert hanging.pid is not None
            os.kill(hanging.pid, signal.SIGSTOP)
            try:
                lasted = []
                ends = time.monotonic() + 3 * LEASE
                while time.monotonic() < ends:
                    lasted.append(await left(second, 1))
                    await asyncio.sleep(LEASE / 10)
            finally:
                os.kill(hanging.pid, signal.SIGCONT)
        await layer.close()
    # With one that waits for the server that hangs it would be half of them, or more.
    assert sum(each <= 0 for each in lasted) < len(lasted) / 4
