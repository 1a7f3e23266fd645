"""Publishing JSON text to rooms, and to everybody: what the layer adds to Channels' contract."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from types import MappingProxyType
from typing import Any, TypeVar
from weakref import WeakMethod

from shardlayer.broker.publisher import Placed
from shardlayer.broker.values import EVERYBODY, Outgoing
from shardlayer.core import tracing, wire
from shardlayer.core.client_names import is_client_name, without
from shardlayer.core.exceptions import MessageTooLarge
from shardlayer.core.options import LayerOptions
from shardlayer.core.reserved_rooms import reserved_rooms
from shardlayer.core.room_options import NO_HISTORY
from shardlayer.core.sharding import shard_of
from shardlayer.core.types import HistoryPolicy, Mark, Position
from shardlayer.layer.engine import Engine
from shardlayer.layer.engines import Engines

MAX_IDEMPOTENCY_KEY = 128  # characters
DESTINATIONS = 8_192  # rooms of which it is remembered how to publish to them; some 3 MB
NO_TRACES: Mapping[int, bytes] = MappingProxyType({})
_SURROGATE = re.compile("[\ud800-\udfff]")

# Made for each publication: without the function that calling the class goes through.
_as_outgoing: Callable[[tuple[Any, ...]], Outgoing] = partial(tuple.__new__, Outgoing)

Reply = TypeVar("Reply")
Outcome = Placed | BaseException
PublishPart = Callable[[int, Sequence[Outgoing]], Awaitable[Sequence[Outcome]]]
"""Publishes messages of one shard or bundle, in order; returns for each its place or its error."""


class Publishing:
    """Publishes to rooms from any event loop and thread of the process."""

    options: LayerOptions
    require_valid_group_name: Callable[[str], bool]  # of Channels; raises TypeError
    _engines: Engines

    async def publish(
        self,
        room: str,
        data: bytes,
        *,
        idempotency_key: str | None = None,
        owner: str = "",
        exclude: str = "",
    ) -> Position | None:
        """Publish JSON text, in UTF-8, to a room's members and its history.

        Returns when Redis has acknowledged it: its position in the room, or None if the room
        keeps no history. The bytes are not parsed: the caller must pass valid JSON.

        An `idempotency_key` of 1 to 128 characters publishes once in a room: within
        `idempotency_ttl` (5 minutes) another call with it returns the first one's position. So
        a caller may repeat a call that raised ShardUnavailable. The keys of an `owner`, such as a
        user whose client chose them, are separate: the same key of another owner, or of none, is
        a different key.

        `exclude` is the name of a client (see `Node.name_client`) that does not get it if it is in
        the room now. A client that reads the history gets it all the same.

        Raises:
            TypeError: If the room's name, the key, the owner or the client's name is not valid, or
                the room is reserved (see `publish_reserved`).
            MessageTooLarge: If `data` is larger than `max_message_size`.
            ShardUnavailable: If it was not acknowledged within `publish_timeout`; whether it was
                published is then unknown.
        """
        known_as = "" if idempotency_key is None else _known_as(idempotency_key, owner)
        if tracing.tracer is not None and (span := tracing.tracer.publishing([room])) is not None:
            return await self._publish_traced(span, room, data, known_as, exclude)
        item = self._outgoing(room, data, idempotency_key=known_as, exclude=exclude)
        engine = self._engines.here()
        if engine is not None:  # what most callers do, without a coroutine more
            return (await engine.publisher.publish(item)).position
        return (await self._engines.run(lambda engine: engine.publisher.publish(item))).position

    async def publish_many(
        self, items: Sequence[tuple[str, bytes]], *, exclude: str = ""
    ) -> list[Position | None]:
        """Publish several (room, data), each room's in the given order, `exclude` as in `publish`.

        All are tried, even if others fail. Raises like `publish`: for bad input before anything
        is sent, else the first failure after all have ended.
        """

        span = None
        if tracing.tracer is not None:
            span = tracing.tracer.publishing([room for room, _ in items])
        with tracing.until_end_of(span) as traceparent:
            return await self._publish_many(items, exclude, traceparent)

    async def _publish_many(
        self, items: Sequence[tuple[str, bytes]], exclude: str, traceparent: bytes
    ) -> list[Position | None]:
        outgoing = [
            self._outgoing(room, data, exclude=exclude, traceparent=traceparent)
            for room, data in items
        ]

        async def work(engine: Engine) -> list[Position | None]:
            publisher = engine.publisher
            bundles = [publisher.bundle_of[item.shard] for item in outgoing]
            return await _publish_parts(outgoing, bundles, publisher.publish_all)

        return await self._engines.run(work)

    async def publish_reserved(self, room: str, data: bytes) -> Position | None:
        """Publish to a room that the application keeps for itself, see `reserve_room`.

        No other call publishes there, since their callers may have a room's name from a stranger.
        Returns and raises like `publish`; TypeError if the room is not reserved.
        """
        if room not in reserved_rooms():
            raise TypeError(f"{room!r:.200} is not reserved: use publish() for it.")
        self._check_size(data)
        body = wire.pack_head(wire.Kind.PUBLICATION, room) + data
        item = Outgoing(self.shard_of(room), room, body, self.options.policy_of(room))
        return (await self._engines.run(lambda engine: engine.publisher.publish(item))).position

    async def publish_marked(
        self,
        items: Sequence[tuple[str, bytes, Mark]],
        *,
        since: float = 0.0,
        traces: Mapping[int, bytes] = NO_TRACES,
    ) -> list[Position | None]:
        """Publish several (room, data, mark), each of them once, however often this is called.

        In one step with the publications, a shard stores how far it has taken each mark's source.
        It skips items that it has taken already. None is returned for those, and for items of a
        room without history. So after ShardUnavailable the same items may be given again. A
        source's items must come in its order, and later ones only after the earlier ones of the
        same shard were acknowledged: an item that is not ahead of the mark counts as taken.

        Args:
            items: What to publish where.
            since: When the oldest of them began its way, in seconds since 1970; 0: now.
            traces: The `traceparent` of each that has one, by its index in `items`.

        Raises like `publish_many`. But after a failure nothing more is sent to that shard, nor to
        those that share its calls (see `way_of`).
        """
        outgoing = [self._outgoing(room, data, mark, since=since) for room, data, mark in items]
        for index, traceparent in traces.items():
            preface = tracing.preface_of(outgoing[index].group, traceparent)
            outgoing[index] = outgoing[index]._replace(preface=preface)

        async def work(engine: Engine) -> list[Position | None]:
            publisher = engine.publisher
            # What takes more calls than one is dealt out to bundles, so that the server has work
            # while the answer of one is taken.
            is_one_call = len(outgoing) <= self.options.batch_size
            bundle_of = publisher.widest_bundle_of if is_one_call else publisher.bundle_of
            bundles = [bundle_of[item.shard] for item in outgoing]
            return await _publish_parts(outgoing, bundles, partial(self._publish_parcels, engine))

        return await self._engines.run(work)

    async def announce(self, data: bytes, *, mark: Mark | None = None) -> None:
        """Tell JSON text, in UTF-8, to every sink of every node that attends (see `Node.attend`).

        No history is kept: a client that is away misses it. With a `mark` it is announced once, as
        in `publish_marked`. Raises like `publish`.
        """
        self._check_size(data)
        body = wire.pack_body(wire.Kind.ANNOUNCEMENT, "", data)
        shard = self.shard_of(EVERYBODY)
        item = Outgoing(shard, EVERYBODY, body, NO_HISTORY, mark=mark, for_all=True)

        async def work(engine: Engine) -> None:
            if mark is None:
                await engine.publisher.publish(item)
            else:
                publisher = engine.publisher
                await publisher.publish_together(publisher.widest_bundle_of[shard], [item])

        await self._engines.run(work)

    async def marks(
        self, sources: Sequence[str], *, shard: int | None = None
    ) -> dict[str, Mark | None]:
        """Return for each source the furthest mark that any shard has taken, or that this one has.

        Raises:
            ShardUnavailable: If a shard can't be reached.
            ScriptFailed: If what a shard holds for marks can't be read.
        """
        if not sources:
            return {}
        by_shard = await self._on_shards(
            range(self.options.shards) if shard is None else [shard],
            lambda engine, shard: engine.backend.marks(shard, sources),
        )
        furthest: dict[str, Mark | None] = {}
        for source, found in zip(sources, zip(*by_shard, strict=True), strict=True):
            marks = [mark for mark in found if mark is not None]
            furthest[source] = max(marks, key=lambda mark: (mark.offset, mark.index), default=None)
        return furthest

    async def forget_marks(self, sources: Sequence[str]) -> None:
        """Forget on all shards how far these sources were taken. Their numbers may begin anew.

        Raises:
            ShardUnavailable: If a shard can't be reached; others may have forgotten them.
        """
        if sources:
            await self._on_shards(
                range(self.options.shards),
                lambda engine, shard: engine.backend.forget_marks(shard, sources),
            )

    async def set_targeted_percent(self, percent: int) -> None:
        """Have this percentage of the rooms, by a hash of their names, told only to their nodes.

        Publications to other rooms go to all nodes, which costs more and needs no registry. All
        processes follow it from their next publication on. It is kept in Redis, and is 100 at
        first.

        Raises:
            ValueError: If it is not a whole number from 0 to 100.
            ShardUnavailable: If a shard can't be reached; others may go by it already.
        """
        if not isinstance(percent, int) or not 0 <= percent <= 100:
            raise ValueError(f"A percentage is a whole number from 0 to 100, not {percent!r}.")
        await self._on_shards(
            range(self.options.shards),
            lambda engine, shard: engine.backend.set_targeted(shard, percent),
        )

    def shard_of(self, name: str) -> int:
        """Return the shard of a group or channel."""
        return shard_of(name, self.options.shards)

    def way_of(self, shard: int) -> int:
        """Return the first of the shards that `publish_marked` reaches with one call.

        A caller that gives the items of all these shards at once needs the fewest calls. In an
        event loop that has no engine yet, each shard counts as a way of its own.
        """
        engine = self._engines.here()
        return shard if engine is None else engine.publisher.widest_bundle_of[shard]

    async def _publish_parcels(
        self, engine: Engine, bundle: int, items: Sequence[Outgoing]
    ) -> list[Placed]:
        if len(items) <= self.options.batch_size:
            order: Sequence[int] = ()
            ordered = items
        else:
            # Shard by shard: each shard that a call touches costs it something.
            order = sorted(range(len(items)), key=lambda index: items[index].shard)
            ordered = [items[index] for index in order]
        placed: list[Placed] = []
        for parcel in self._parcels(ordered):
            placed += await engine.publisher.publish_together(bundle, parcel)
        if not order:
            return placed
        by_index = dict(zip(order, placed, strict=True))
        return [by_index[index] for index in range(len(items))]

    async def _on_shards(
        self, shards: Iterable[int], ask: Callable[[Engine, int], Awaitable[Reply]]
    ) -> list[Reply]:
        async def work(engine: Engine) -> list[Reply]:
            return await asyncio.gather(*(ask(engine, shard) for shard in shards))

        return await self._engines.run(work)

    def _parcels(self, items: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
        """Yield the items in parcels that a batch can take."""
        most, most_bytes = self.options.batch_size, self.options.batch_bytes
        parcel: list[Outgoing] = []
        parcel_size = 0
        for item in items:
            size = len(item.body) + wire.ENTRY_OVERHEAD
            if parcel and (len(parcel) == most or parcel_size + size > most_bytes):
                yield parcel
                parcel, parcel_size = [], 0
            parcel.append(item)
            parcel_size += size
        if parcel:
            yield parcel

    async def _publish_traced(
        self, span: tracing.PublishSpan, room: str, data: bytes, known_as: str, exclude: str
    ) -> Position | None:
        with tracing.until_end_of(span) as trace:
            item = self._outgoing(
                room, data, idempotency_key=known_as, exclude=exclude, traceparent=trace
            )
            return (await self._engines.run(lambda to: to.publisher.publish(item))).position

    def _outgoing(
        self,
        room: str,
        data: bytes,
        mark: Mark | None = None,
        *,
        idempotency_key: str = "",
        exclude: str = "",
        since: float = 0.0,
        traceparent: bytes = b"",
    ) -> Outgoing:
        try:
            shard, head, policy = self._destination(room)
        except TypeError:
            self.require_valid_group_name(room)  # says why, of what can't be looked up, too
            raise
        self._check_size(data)
        if exclude:
            if not is_client_name(exclude):
                raise TypeError(f"{exclude!r:.200} is not the id of a client.")
            head = wire.pack_head(wire.Kind.PUBLICATION, without(room, exclude))
        preface = tracing.preface_of(room, traceparent) if traceparent else b""
        body = head + data
        return _as_outgoing(
            (shard, room, body, policy, mark, idempotency_key, False, preface, since)
        )

    @cached_property
    def _destination(self) -> Callable[[str], tuple[int, bytes, HistoryPolicy]]:
        """What is the same for all publications to a room: where, how they begin, what is kept.

        Raises TypeError for what is no room's name, and for a reserved room.
        """
        options = self.options
        require_valid = WeakMethod(self.require_valid_group_name)  # a cycle would outlive its users

        @lru_cache(maxsize=DESTINATIONS)
        def destination(room: str) -> tuple[int, bytes, HistoryPolicy]:
            if (require := require_valid()) is not None:
                require(room)
            if room in reserved_rooms():
                raise TypeError(f"{room!r} is reserved: only publish_reserved() publishes to it.")
            head = wire.pack_head(wire.Kind.PUBLICATION, room)
            return shard_of(room, options.shards), head, options.policy_of(room)

        return destination

    def _check_size(self, payload: bytes) -> None:
        limit = self.options.max_message_size
        if len(payload) > limit:
            raise MessageTooLarge(size=len(payload), limit=limit)


def _known_as(key: str, owner: str) -> str:
    """Return the name under which the key of an owner is remembered; no two have the same.

    Raises:
        TypeError: If one of them can't be.
    """
    if not _is_idempotency_key(key):
        raise TypeError(
            f"An idempotency key is a string of 1 to {MAX_IDEMPOTENCY_KEY} characters, "
            f"not {key!r:.200}."
        )
    if owner:
        if not _is_idempotency_key(owner) or "\0" in owner:
            raise TypeError(
                f"The owner of an idempotency key is a string of up to {MAX_IDEMPOTENCY_KEY} "
                f"characters without NUL, not {owner!r:.200}."
            )
        return f"\0{owner}\0{key}"
    return f"\0\0{key}" if key.startswith("\0") else key


def _is_idempotency_key(key: object) -> bool:
    """Tell whether a key can be sent; half a surrogate pair, as JSON may hold, can't."""
    return (
        isinstance(key, str) and 0 < len(key) <= MAX_IDEMPOTENCY_KEY and not _SURROGATE.search(key)
    )


async def _publish_parts(
    items: Sequence[Outgoing], groups: Sequence[int], part: PublishPart
) -> list[Position | None]:
    """Publish each group's items, whatever becomes of the others, and return their positions.

    All parts begin before anything is awaited, so that no later call overtakes this one.

    Raises:
        What an item failed for, after all groups have ended.
    """
    if len(set(groups)) == 1:  # its caller has grouped them, or there is but one
        outcomes = await part(groups[0], items)
        return [
            outcome.position if type(outcome) is Placed else _position(outcome)
            for outcome in outcomes
        ]
    by_group: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        by_group.setdefault(group, []).append(index)
    answers = await asyncio.gather(
        *(part(group, [items[index] for index in indices]) for group, indices in by_group.items()),
        return_exceptions=True,
    )
    positions: list[Position | None] = [None] * len(items)
    for indices, answer in zip(by_group.values(), answers, strict=True):
        if isinstance(answer, BaseException):
            raise answer
        for index, outcome in zip(indices, answer, strict=True):
            positions[index] = outcome.position if type(outcome) is Placed else _position(outcome)
    return positions


def _position(outcome: Outcome) -> Position | None:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome.position
