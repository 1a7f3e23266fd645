"""Waiting until replicas have what was published, without holding up what comes after it.

WAIT blocks the connection that it is sent on, so it has one of its own for each server. Batches of
all the server's shards that were published meanwhile share the next WAIT.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from shardlayer.aio.batcher import Batcher
from shardlayer.broker.redis.calls import Call, milliseconds
from shardlayer.broker.redis.command_link import CommandLink
from shardlayer.broker.redis.publish_script import confirm
from shardlayer.broker.redis.servers import Servers
from shardlayer.broker.values import Batch
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.options import LayerOptions

WAITS_PER_TIMEOUT = 4  # how often a publication waits for replicas before its caller is told


class Replicas:
    """Confirms batches once `wait_replicas` replicas have them."""

    def __init__(self, options: LayerOptions, servers: Servers) -> None:
        self._options = options
        self._servers = servers
        self._batchers: dict[str, Batcher[Call, str]] = {}

    async def confirm(self, bundle: int, batch: Batch) -> None:
        """Return when enough replicas have a batch that was just published.

        Raises:
            ShardUnavailable: If they don't yet, or the server lost the batch in a failover.
        """
        address = self._servers.address_of(bundle)
        batcher = self._batchers.get(address)
        if batcher is None:
            batcher = self._batchers[address] = self._batcher(address)
        try:
            problem = await batcher.put(confirm(self._servers.keys[bundle], batch))
        except ShardUnavailable as error:
            raise error.about(bundle) from error.__cause__
        if problem:
            raise ShardUnavailable(shard=bundle, server=address, reason=problem)

    async def aclose(self) -> None:
        """Stop at once; callers that still wait get ShardUnavailable."""
        for address, batcher in self._batchers.items():
            reason = "the layer was closed"
            await batcher.aclose(ShardUnavailable(shard=0, server=address, reason=reason))

    def _batcher(self, address: str) -> Batcher[Call, str]:
        async def send(calls: list[Call], since: float) -> Sequence[str]:
            return await self._ask(address, calls)

        return Batcher(
            send,
            size_of=lambda call: 1,
            max_items=self._options.max_pending,
            max_bytes=self._options.max_pending,
            max_pending=self._options.max_pending,
            name=f"replicas of {address}",
        )

    async def _ask(self, address: str, calls: Sequence[Call]) -> list[str]:
        """Return for each call what stands in the way of its confirmation, or ''."""
        wanted = self._options.wait_replicas
        patience = milliseconds(self._options.publish_timeout / WAITS_PER_TIMEOUT)
        ask = partial(CommandLink.evaluate, calls=calls, then=("WAIT", wanted, patience))
        *answers, replicas = await self._servers.run_apart(address, ask)
        if isinstance(replicas, Exception) or replicas < wanted:
            # Applied, but a failover now would lose it: the publisher asks again.
            return [f"{replicas} of {wanted} replicas have the publications"] * len(calls)
        return ["" if answer == 1 else f"the batch is gone: {answer}" for answer in answers]
