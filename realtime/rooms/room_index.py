"""Which rooms there are, all servers together, kept for a while where somebody looks at them.

Redis has no list of rooms in an order: a room is some keys. To find the largest of 100,000 rooms
all of them have to be looked at. An index beside them would cost every join and leave something,
for a page that is hardly ever open. So the process that shows the page looks at all rooms, in many
short calls, keeps what it found, and begins anew when that is some seconds old. Nobody looks while
nobody asks. docs/decisions/admin.md says more.

Nothing runs by itself: who asks goes on with the round that is under way, for as long as it can
wait, and takes what is there by then.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple
from weakref import WeakKeyDictionary, ref

from realtime.conf import conf
from shardlayer import RoomSummary, ShardedChannelLayer, ShardLayerError, ShardUnavailable

SCANNED = 1_000  # keys that one call looks at, some 1 ms of Redis
SURVEYED = 200  # rooms of a shard that one call asks for
FRESH = 5.0  # seconds after which all rooms are looked at again
SHARE = 0.1  # of the time that rounds may take: a long one is followed by a longer pause
KEPT = 600.0  # seconds that what was found is kept though nobody asks
LONGEST_RATE = 60.0  # seconds between two looks from which a rate is made
LARGEST_STEP = 10**9  # publications between two looks; more is a new count (see restarts.py)
ORDERS = 16  # questions whose order is kept until more rooms are known
DEEPEST = 10_000  # rooms that are put in order: nobody reads more pages

SORTS = ("members", "rate", "name")


class KnownRoom(NamedTuple):
    """A room as the last round found it.

    Attributes:
        shard: Its shard.
        members: Connections; -1: unknown.
        offset: Where it stood.
        epoch: Of that offset.
        rate: Publications a second since the round before; None: not known yet.
        idle: Seconds since the last publication, or None.
        at: When it was looked at, in seconds of the monotonic clock.
    """

    shard: int
    members: int
    offset: int
    epoch: str
    rate: float | None
    idle: float | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A page of rooms, in the order that was asked for.

    Attributes:
        names: The rooms of the page.
        total: How many fit what was asked for, of those that were found.
        page: The page's number, from 1; the last one if there are fewer.
        pages: How many there are, at least 1.
    """

    names: Sequence[str]
    total: int
    page: int
    pages: int


class _Ordered(NamedTuple):
    """The rooms that fit a question, in its order.

    Attributes:
        names: Those of the first pages.
        total: How many there are.
        depth: How many pages `names` are.
        pages: How many there are.
    """

    names: Sequence[str]
    total: int
    depth: int
    pages: int


@dataclass(slots=True)
class _Round:
    """A look at all rooms that is under way.

    Attributes:
        servers: Their addresses.
        cursors: Where each server's SCAN goes on; None at its end.
        seen: Rooms that were found.
        pending: Those that are not surveyed yet, by shard.
        silent: Servers that do not answer, and why.
        worked: Seconds that it took so far.
    """

    servers: list[str]
    cursors: list[int | None]
    seen: set[str] = field(default_factory=set)
    pending: dict[int, list[str]] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)
    worked: float = 0.0


class RoomIndex:
    """What is known of all rooms of a layer. Safe to use from several threads and event loops.

    Attributes:
        rooms: What the rounds found.
        silent: Servers that did not answer in the last round, or in this one, and why.
        is_whole: Whether a round has come to its end: `rooms` are all that there are.
        is_cut: Whether there were more than ADMIN_MAX_ROOMS.
    """

    def __init__(
        self, layer: ShardedChannelLayer, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rooms: dict[str, KnownRoom] = {}
        self.silent: dict[str, str] = {}
        self.is_whole = False
        self.is_cut = False
        self._layer_ref = ref(layer)  # who has the index must not keep the layer
        self._clock = clock
        self._version = 0  # grows when another order may come of what is known
        self._ordered: dict[tuple[object, ...], _Ordered] = {}
        self._busy = Lock()  # taken without waiting, so that it fits any thread and loop
        self._round: _Round | None = None
        self._next = float("-inf")  # when the next round begins
        self._ended = float("-inf")
        self._asked = float("-inf")
        self._is_timed = False

    def _layer(self) -> ShardedChannelLayer:
        layer = self._layer_ref()
        if layer is None:
            raise RuntimeError("The layer of this index is gone.")
        return layer

    @property
    def age(self) -> float | None:
        """Seconds since the last round came to its end; None before that."""
        return self._clock() - self._ended if self.is_whole else None

    @property
    def is_looking(self) -> bool:
        """Whether a round is under way: it goes on with the next `refresh`."""
        return self._round is not None or self._busy.locked()  # one that begins has no round yet

    def expire(self) -> None:
        """Have the next `refresh` begin a round, however long the last one took."""
        self._next = float("-inf")

    async def refresh(self, budget: float, *, waits: bool = False) -> None:
        """Look at rooms, unless what is known is fresh, for about `budget` seconds.

        If somebody else is at it, wait for as long, until they are done or all rooms are known.

        Args:
            budget: Seconds.
            waits: Whether to wait until they are done though all rooms are known.
        """
        deadline = self._clock() + budget
        if not self._busy.acquire(blocking=False):
            while self._busy.locked() and (waits or not self.is_whole) and self._clock() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # an event is of one loop
            return
        try:
            if self._clock() - self._asked > KEPT:
                self._forget()
            self._asked = self._clock()
            if self._round is None and self._clock() < self._next:
                return
            while await self._step():
                if self._clock() >= deadline:
                    break
            self._have_forgotten()
        finally:
            self._busy.release()

    def select(
        self, *, prefix: str, shard: int | None, sort: str, page: int, size: int
    ) -> Selection:
        """Return a page of the rooms whose names begin with `prefix`, of one shard or of all.

        With 100,000 rooms this takes a tenth of a second, once for each question in each round:
        call it in a thread.
        """
        asked = (self._version, prefix, shard, sort, size)
        known = self._ordered.get(asked)
        if known is None or known.depth < page <= known.pages:
            known = self._order(prefix, shard, sort, size, page)
            if len(self._ordered) >= ORDERS:
                self._ordered.clear()
            self._ordered[asked] = known
        page = min(max(page, 1), known.pages)
        names = known.names[(page - 1) * size : page * size]
        return Selection(names=names, total=known.total, page=page, pages=known.pages)

    def _order(self, prefix: str, shard: int | None, sort: str, size: int, page: int) -> _Ordered:
        found = [
            (name, room)
            for name, room in list(self.rooms.items())  # a copy: rounds go on meanwhile
            if name.startswith(prefix) and (shard is None or room.shard == shard)
        ]
        pages = max(1, -(-min(len(found), DEEPEST) // size))
        depth = min(max(page, 1), pages)
        first = heapq.nsmallest(depth * size, found, key=_KEYS[sort])
        return _Ordered([name for name, _ in first], len(found), depth, pages)

    async def _step(self) -> bool:
        """Make one call to each server that is not through; return whether there is more to do."""
        begun = self._clock()
        if self._round is None:
            self._round = await self._begin()
        round_ = self._round
        wanted = [index for index, cursor in enumerate(round_.cursors) if cursor is not None]
        await asyncio.gather(*(self._scan(round_, server) for server in wanted))
        is_last = all(cursor is None for cursor in round_.cursors)
        # The first rooms of all are not kept waiting until they fill a call.
        await self._survey(round_, everything=is_last or not self.rooms)
        round_.worked += self._clock() - begun
        if is_last:
            self._finish(round_)
        if is_last or not self.is_whole:
            self._version += 1
            self._ordered = {}
        return not is_last

    async def _begin(self) -> _Round:
        pings = await self._layer().ping(conf().check_timeout)
        silent = {
            server: str(answer.__cause__ or answer)
            for server, answer in pings.items()
            if isinstance(answer, ShardUnavailable)
        }
        self.silent = silent
        cursors = [None if server in silent else 0 for server in pings]
        return _Round([*pings], cursors, silent=dict(silent))

    async def _scan(self, round_: _Round, server: int) -> None:
        within = conf().check_timeout
        try:
            cursor, names = await self._layer().room_names(
                server, round_.cursors[server] or 0, SCANNED, within=within
            )
        except (ShardUnavailable, TimeoutError) as error:
            round_.cursors[server] = None
            why = str(error.__cause__ or error) or f"no answer within {within:g} s"
            round_.silent[round_.servers[server]] = why
            self.silent = dict(round_.silent)
            return
        round_.cursors[server] = cursor or None
        most = conf().admin_max_rooms
        for name in names:
            if name in round_.seen:
                continue
            if most and len(round_.seen) >= most:
                self.is_cut = True
                round_.cursors[server] = None
                break
            round_.seen.add(name)
            round_.pending.setdefault(self._layer().shard_of(name), []).append(name)

    async def _survey(self, round_: _Round, *, everything: bool) -> None:
        """Ask for the rooms of shards that fill a call, or of all."""
        full = [s for s, names in round_.pending.items() if everything or len(names) >= SURVEYED]
        asked = [name for shard in full for name in round_.pending.pop(shard)]
        if not asked:
            return
        found = await self._layer().survey(asked, within=conf().check_timeout)
        now = self._clock()
        for name, summary in found.items():
            self._keep(name, summary, now)

    def _keep(self, name: str, summary: RoomSummary | ShardLayerError, now: float) -> None:
        before = self.rooms.get(name)
        if isinstance(summary, RoomSummary):
            rate = None if before is None else rate_between(before, summary, now)
            self.rooms[name] = KnownRoom(
                shard=summary.shard,
                members=summary.members,
                offset=summary.offset,
                epoch=summary.epoch,
                rate=rate,
                idle=summary.idle,
                at=now,
            )
        elif before is None:
            shard = self._layer().shard_of(name)
            self.rooms[name] = KnownRoom(shard, -1, 0, "", None, None, now)

    def _finish(self, round_: _Round) -> None:
        # Rooms of a server that does not answer are not gone.
        if not round_.silent:
            for name in [name for name in self.rooms if name not in round_.seen]:
                del self.rooms[name]
        self.silent = round_.silent
        most = conf().admin_max_rooms
        self.is_cut = bool(most) and len(round_.seen) >= most
        self.is_whole = True
        self._round = None
        self._ended = self._clock()
        self._next = self._ended + max(FRESH, round_.worked / SHARE)

    def _have_forgotten(self) -> None:
        """Have the rooms forgotten once nobody has asked for a while, in a loop that runs on."""
        if not self._is_timed:
            self._is_timed = True
            asyncio.get_running_loop().call_later(KEPT, _look_back, ref(self))

    def look_back(self) -> None:
        """Forget the rooms if nobody asked of late. In an event loop."""
        self._is_timed = False
        if self._clock() - self._asked > KEPT - FRESH:
            self._forget()
        elif self.rooms:
            self._have_forgotten()

    def _forget(self) -> None:
        self.rooms, self.silent = {}, {}
        self._version += 1
        self._ordered = {}
        self.is_whole = self.is_cut = False
        self._round = None
        self._next = float("-inf")


def _look_back(index: ref[RoomIndex]) -> None:
    if (found := index()) is not None:
        found.look_back()


_of_layers: WeakKeyDictionary[ShardedChannelLayer, RoomIndex] = WeakKeyDictionary()


def room_index(layer: ShardedChannelLayer) -> RoomIndex:
    """Return what this process knows of a layer's rooms."""
    index = _of_layers.get(layer)
    if index is None:
        index = _of_layers.setdefault(layer, RoomIndex(layer))
    return index


def rate_between(before: KnownRoom, after: RoomSummary, now: float) -> float | None:
    """Return how many publications a second there were between two looks; None if unknown."""
    passed = now - before.at
    step = after.offset - before.offset
    if not before.epoch or before.epoch != after.epoch or not 0 <= step < LARGEST_STEP:
        return None
    return step / passed if 0 < passed <= LONGEST_RATE else None


def _by_members(item: tuple[str, KnownRoom]) -> tuple[float, str]:
    return -item[1].members, item[0]


def _by_rate(item: tuple[str, KnownRoom]) -> tuple[float, float, str]:
    idle = item[1].idle
    return -(item[1].rate or 0.0), float("inf") if idle is None else idle, item[0]


def _by_name(item: tuple[str, KnownRoom]) -> tuple[str]:
    return (item[0],)


_KEYS: dict[str, Callable[[tuple[str, KnownRoom]], tuple[object, ...]]] = {
    "members": _by_members,
    "rate": _by_rate,
    "name": _by_name,
}
