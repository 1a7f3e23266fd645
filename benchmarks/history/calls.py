"""Publishing with history beside publishing without: calls a second, and what Redis does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from benchmarks.history.pair import Pair
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from shardlayer.core.options import SHARDS
from shardlayer.core.sharding import shard_of

PUBLISH = "publish, 200 callers, 200 rooms"
PUBLISH_BESIDE = "publish, 200 callers, 200 rooms, beside the members"
REDIS = "Redis CPU, batches of 100"
REDIS_ALONE = "Redis CPU, batches of 100, nobody listens"

CALLERS = 200
ROOMS = 200
BATCH = 100
BATCH_ROOMS = 10  # different rooms in a batch, of one shard: what a batch of the pool looks like
WARM_UP = 0.3  # seconds
SLICE = 0.5  # seconds of publishing before those who stood still meanwhile take it

_NAMES = [f"room-{number}" for number in range(ROOMS)]


def rooms_of_one_shard() -> list[str]:
    """Return names of one shard."""
    names = (f"room-{number}" for number in range(SHARDS * BATCH_ROOMS * BATCH_ROOMS))
    return [name for name in names if shard_of(name, SHARDS) == 0][:BATCH_ROOMS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """The peers stand side by side and take turns; each round starts new processes."""

    seconds: float = 2.0
    rounds: int = 5

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, seconds=0.3, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        for round in range(1, self.rounds + 1):
            with ExitStack() as stack:
                pairs = [
                    stack.enter_context(
                        Pair(layer, to=to, names=_NAMES, placement=placement, folder=folder)
                    )
                    for layer, to in (("ours", "rooms"), ("pubsub", "groups"))
                ]
                pairs[0].settle()
                for pair in pairs if round % 2 else reversed(pairs):
                    pair.publish(callers=CALLERS, seconds=WARM_UP)
                    layer = "ours" if pair is pairs[0] else "pubsub"
                    yield self._figure(PUBLISH, layer, round, self._slices(pair))
                    beside = pair.publish(callers=CALLERS, seconds=self.seconds)
                    yield self._figure(PUBLISH_BESIDE, layer, round, [beside])

    def _slices(self, pair: Pair) -> list[dict[str, Any]]:
        slices = max(1, int(self.seconds / SLICE))
        seconds = self.seconds / slices
        return [pair.publish(callers=CALLERS, seconds=seconds, alone=True) for _ in range(slices)]

    @staticmethod
    def _figure(
        measure: str, layer: str, round: int, slices: Sequence[Mapping[str, Any]]
    ) -> Figure:
        published = sum(slice["published"] for slice in slices)
        return Figure(
            measure=measure,
            layer=layer,
            round=round,
            value=published / sum(slice["seconds"] for slice in slices) if published else None,
            unit="calls/s",
            calls=published,
            lost=sum(slice["lost"] for slice in slices),
            caller_us=sum(slice["cpu_us"] for slice in slices) / max(1, published),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisCpu:
    """The same batches, with all that a publication of the pool has, and by PUBLISH alone."""

    seconds: float = 2.0
    rounds: int = 5

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, seconds=0.3, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        for round in range(1, self.rounds + 1):
            for measure, marked, plain in ((REDIS, "rooms", "channels"), (REDIS_ALONE, "", "")):
                yield from self._round(measure, marked, plain, round, placement, folder)

    def _round(
        self, measure: str, marked: str, plain: str, round: int, placement: Placement, folder: Path
    ) -> Iterator[Figure]:
        names = rooms_of_one_shard()
        with ExitStack() as stack:
            kinds = [("ours", "marked", marked), ("PUBLISH", "plain", plain)]
            pairs = [
                stack.enter_context(
                    Pair("ours", to=to, names=names, placement=placement, folder=folder)
                )
                for _, _, to in kinds
            ]
            if marked:
                pairs[0].settle()
            turns = list(zip(kinds, pairs, strict=True))
            for (name, how, _), pair in turns if round % 2 else reversed(turns):
                yield self._slice(pair, measure, name, how, round)

    def _slice(self, pair: Pair, measure: str, name: str, how: str, round: int) -> Figure:
        batch = pair.names * (BATCH // BATCH_ROOMS)
        pair.batches(how, batch, seconds=WARM_UP)
        before = pair.redis_cpu_ns()
        sent = pair.batches(how, batch, seconds=self.seconds)
        used = pair.redis_cpu_ns() - before
        return Figure(
            measure=measure,
            layer=name,
            round=round,
            value=used / sent["published"] / 1e3 if sent["published"] else None,
            unit="µs",
            calls=sent["published"],
            lost=sent["lost"],
        )
