"""Publishes: one batcher per bundle of shards, each batch numbered and repeated until it is taken.

A bundle is what one call can publish to: some of the shards of one server (`Broker.bundle_of`). So
many callers with many rooms share few calls, and a slow or dead server delays no other. While it
is unknown whether a batch was applied, it is sent again with the same number, which the server
applies at most once. When the oldest publication in it has waited `publish_timeout`, its callers
get ShardUnavailable. The callers behind it get it, too, when their time is over.

If all of some publications must be taken or none, they go as one parcel, which no batch divides. A
caller with parcels waits for all of them together, so smaller bundles would only mean more calls.
That is why a parcel may go to the shards of a widest bundle.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, cast

from shardlayer.aio.batcher import Batcher
from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.aio.time_limits import TimeLimits
from shardlayer.broker.interface import Broker
from shardlayer.broker.publish_retries import PublishRetries
from shardlayer.broker.publisher_counters import PublisherCounters
from shardlayer.broker.publisher_histograms import PublisherHistograms
from shardlayer.broker.values import Batch, Outgoing, Published
from shardlayer.core.exceptions import ScriptFailed, ShardUnavailable
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import Position
from shardlayer.core.wire import ENTRY_OVERHEAD, EPOCH_LENGTH

logger = logging.getLogger(__name__)

WRITER_ID_BYTES = 8


class Placed(NamedTuple):
    """What became of a publication.

    Attributes:
        position: Where it stands in its room; None without history.
        channels: The normal channels that are members of its group.
    """

    position: Position | None
    channels: Sequence[str]


# Made for each publication: without the function that calling the class goes through.
_as_placed: Callable[[tuple[Any, ...]], Placed] = partial(tuple.__new__, Placed)

Outcome = Placed | ScriptFailed
"""What became of one publication of a batch that was acknowledged."""


@dataclass(slots=True)
class _Writer:
    """Numbers its batches to one bundle.

    Attributes:
        id: Names it.
        number: That of its last batch.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(WRITER_ID_BYTES))
    number: int = 0


class Publisher:
    """Publishes to all shards from one event loop.

    Attributes:
        counters: What it counted.
        published: Publications that each shard has acknowledged, repeats and failures too.
        by_bundle: What it measured, by the first shard of each bundle.
        bundle_of: Of each shard the first one of its bundle, as the broker has it.
        widest_bundle_of: The same of its widest bundle.
    """

    def __init__(self, broker: Broker, options: LayerOptions) -> None:
        self.counters = PublisherCounters()
        self._under_way = 0  # batches
        self._time_limits = TimeLimits()
        self._complain = ThrottledLog(logger, logging.ERROR)
        self._broker = broker
        self._options = options
        shards = range(options.shards)
        self.bundle_of = bundles = [broker.bundle_of(shard) for shard in shards]
        self.widest_bundle_of = widest = [broker.widest_bundle_of(shard) for shard in shards]
        self.published = [0] * options.shards
        self.by_bundle = {bundle: PublisherHistograms() for bundle in bundles}
        batchers = {bundle: self._batcher(bundle, _Writer(), options) for bundle in bundles}
        parcels = {
            bundle: self._parcel_batcher(bundle, _Writer(), options)
            for bundle in dict.fromkeys((*bundles, *widest))
        }
        self._all: list[tuple[int, Batcher[Any, Any]]] = [*batchers.items(), *parcels.items()]
        self._batchers = [batchers[bundle] for bundle in bundles]  # by shard
        self._parcels = parcels

    async def publish(self, item: Outgoing) -> Placed:
        """Publish one message.

        Raises:
            ShardUnavailable: If Redis did not acknowledge it in `publish_timeout`.
            ScriptFailed: If its room holds what can't be published to; it was not published.
        """
        try:
            placed = await self._batchers[item.shard].put(item)
        except ShardUnavailable as error:
            raise error.about(item.shard) from error.__cause__
        if isinstance(placed, ScriptFailed):
            raise placed
        return placed

    def publish_all(
        self, bundle: int, items: Sequence[Outgoing]
    ) -> Awaitable[list[Placed | BaseException]]:
        """Publish messages of one bundle in order; what is returned gives their places or errors.

        They have their turn before this returns: what is published later comes behind them.
        `bundle` is any shard of it.
        """
        return self._told(items, self._batchers[bundle].put_all(items))

    async def _told(
        self, items: Sequence[Outgoing], placing: Awaitable[Sequence[Outcome | BaseException]]
    ) -> list[Placed | BaseException]:
        return [
            outcome.about(item.shard) if isinstance(outcome, ShardUnavailable) else outcome
            for item, outcome in zip(items, await placing, strict=True)
        ]

    async def publish_together(self, bundle: int, items: Sequence[Outgoing]) -> Sequence[Placed]:
        """Publish messages in order, all of them or none.

        `bundle` is the first shard of a bundle, or of a widest one, that they all go to.

        Raises:
            ShardUnavailable: If Redis did not acknowledge them in `publish_timeout`.
            ScriptFailed: If the room of one can't be published to: neither that one was published
                nor what is behind it from the same source.
        """
        try:
            placed = await self._parcels[bundle].put(items)
        except ShardUnavailable as error:
            raise error.about(items[0].shard) from error.__cause__
        for each in placed:
            if isinstance(each, ScriptFailed):
                raise each
        return cast(Sequence[Placed], placed)

    async def drain(self) -> None:
        """Wait until everything is acknowledged or has failed. Publish nothing meanwhile."""
        for _, batcher in self._all:
            await batcher.drain()

    async def aclose(self) -> None:
        """Stop at once: callers that still wait get ShardUnavailable."""
        for bundle, batcher in self._all:
            await batcher.aclose(self._broker.unavailable(bundle, "the layer was closed"))

    def _batcher(
        self, bundle: int, writer: _Writer, options: LayerOptions
    ) -> Batcher[Outgoing, Outcome]:
        return Batcher(
            partial(self._send, bundle, writer),
            size_of=lambda item: len(item.body) + ENTRY_OVERHEAD,
            max_items=options.batch_size,
            max_bytes=options.batch_bytes,
            max_pending=options.max_pending,
            name=f"publisher of bundle {bundle}",
            is_busy=lambda: self._under_way > 0,
        )

    def _parcel_batcher(
        self, bundle: int, writer: _Writer, options: LayerOptions
    ) -> Batcher[Sequence[Outgoing], Sequence[Outcome]]:
        async def send(
            parcels: list[Sequence[Outgoing]], since: float
        ) -> Sequence[Sequence[Outcome]]:
            items = [item for parcel in parcels for item in parcel]
            began = min([item.since for item in items if item.since], default=0.0)
            places = iter(await self._send(bundle, writer, items, since, began))
            return [list(islice(places, len(parcel))) for parcel in parcels]

        # Both bounds of a batch in one: a parcel counts as at least its publications' share.
        share = options.batch_bytes // options.batch_size
        return Batcher(
            send,
            size_of=lambda parcel: max(_size_of(parcel), share * len(parcel)),
            max_items=options.batch_size,
            max_bytes=options.batch_bytes,
            max_pending=options.max_pending,
            name=f"publisher of parcels to bundle {bundle}",
        )

    async def _send(
        self,
        bundle: int,
        writer: _Writer,
        items: list[Outgoing],
        since: float,
        began: float = 0.0,
    ) -> Sequence[Outcome]:
        """Send a batch; `began`: when it began its way, in seconds since 1970; 0: at `since`."""
        loop = asyncio.get_running_loop()
        deadline = since + self._options.publish_timeout
        begun = loop.time()
        if begun >= deadline:  # it waited behind what did not leave, and was not sent
            self.counters.failed += len(items)
            raise self._broker.unavailable(bundle)
        writer.number += 1
        batch = Batch(
            writer=writer.id,
            number=writer.number,
            items=items,
            epoch=new_epoch(),
            since=began or time.time() - (begun - since),
        )
        retries: PublishRetries | None = None
        while True:
            self._under_way += 1
            try:
                with self._time_limits.until(deadline):
                    published = await self._broker.publish(bundle, batch)
                break
            except ScriptFailed:
                self.counters.errors += 1
                self.counters.failed += len(items)
                raise
            except (ShardUnavailable, TimeoutError) as error:
                retries = retries or PublishRetries(deadline)
                self.counters.errors += 1
                pause = retries.pause_after(error, loop.time())
                if pause is None:
                    self.counters.failed += len(items)
                    if retries.reason is None:
                        raise self._broker.unavailable(bundle) from error
                    raise retries.reason from retries.reason.__cause__
                self.counters.retries += 1
            finally:
                self._under_way -= 1
            await asyncio.sleep(pause)
            begun = loop.time()
        self._count(published, len(items))
        of_shards = self.published
        for item in items:
            of_shards[item.shard] += 1
        now = loop.time()
        histograms = self.by_bundle[bundle]
        histograms.batch_items.observe(len(items))
        histograms.call_seconds.observe(now - begun)
        histograms.publish_seconds.observe(now - since)
        histograms.fanout.observe(published.messages)
        if not published.channels:
            placed: list[Outcome] = [_as_placed((position, ())) for position in published.positions]
        else:
            placed = [
                Placed(position, published.channels.get(item.group, ()))
                for item, position in zip(items, published.positions, strict=True)
            ]
        for index, why in published.failed.items():
            placed[index] = self._script_failed(items[index], why)
        return placed

    def _count(self, published: Published, items: int) -> None:
        counters = self.counters
        counters.batches += 1
        counters.published += items - published.repeated - len(published.failed)
        counters.failed += len(published.failed)
        counters.messages += published.messages
        counters.targeted += published.targeted
        counters.fallback += published.fallback
        counters.repeated += published.repeated

    def _script_failed(self, item: Outgoing, reason: str) -> ScriptFailed:
        error = ScriptFailed(
            script="publish",
            names=[item.group],
            shard=item.shard,
            server=self._broker.servers[self._broker.server_of(item.shard)],
            reason=reason,
        )
        self._complain("%s", error)
        return error


def _size_of(parcel: Sequence[Outgoing]) -> int:
    return sum([len(item.body) for item in parcel]) + ENTRY_OVERHEAD * len(parcel)


def new_epoch() -> str:
    """Return a name for a room's next life, should it begin with this publication."""
    return secrets.token_hex(EPOCH_LENGTH // 2)
