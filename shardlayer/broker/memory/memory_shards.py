"""What all roles of a backend in memory stand on: the shards of one server."""

from __future__ import annotations

from shardlayer.broker.memory.store import MemoryServer, Shard
from shardlayer.core.options import LayerOptions


class MemoryShards:
    """Finds what a shard holds. All else takes the server's lock first."""

    def __init__(self, options: LayerOptions, server: MemoryServer) -> None:
        self._options = options
        self._server = server

    def _shard(self, shard: int) -> Shard:
        server = self._server
        state = server.shards.get((self._options.prefix, shard))
        if state is None:
            state = server.shards[self._options.prefix, shard] = Shard()
        now = server.clock()
        if now >= state.sweep_at:
            state.sweep(now)
        return state
