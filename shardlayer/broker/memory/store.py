"""What the memory backend keeps, in place of a Redis server."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import NamedTuple
from zlib import crc32

from shardlayer.broker.interface import Listener
from shardlayer.broker.presence_values import Announced, Attendee
from shardlayer.broker.process_reports import LOST_FOR, MAX_LOST, TOTALS_STEPS
from shardlayer.broker.values import ORDERS_KEPT, Order, Outgoing, Published
from shardlayer.core.types import Mark, NodeId, Position

Clock = Callable[[], float]
"""Seconds since some fixed moment."""


class KeptPublication(NamedTuple):
    """A publication in a history: its offset and body, when it was published, and its source."""

    offset: int
    body: bytes
    time: float
    mark: Mark | None


@dataclass(slots=True)
class Group:
    """A group or room."""

    nodes: dict[NodeId, int] = field(default_factory=dict)
    channels: dict[str, float] = field(default_factory=dict)  # normal ones -> until when
    epoch: str = ""
    offset: int = 0
    meta_ends: float = 0.0
    history: deque[KeptPublication] = field(default_factory=deque)
    history_ends: float = 0.0
    newest: tuple[int, bytes] | None = None  # of a group that keeps it

    def expire(self, now: float) -> None:
        """Forget what has had its time."""
        if now >= self.history_ends:
            self.history.clear()
        for channel in [name for name, ends in self.channels.items() if ends <= now]:
            del self.channels[channel]
        if now >= self.meta_ends:
            self.epoch, self.offset, self.newest = "", 0, None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of it."""
        return not (self.nodes or self.channels or self.epoch or self.history)

    def begin(self, epoch: str) -> None:
        """Begin to count, unless that has begun."""
        if not self.epoch:
            self.epoch, self.offset, self.newest = epoch, 0, None
            self.history.clear()


class Known(NamedTuple):
    """What an idempotency key stands for."""

    position: Position | None
    ends: float


@dataclass(slots=True)
class Roster:
    """Who is in which rooms at one node.

    Attributes:
        attendees: The connections.
        number: Of the node's last announcement; -1 while it is being cleared.
        answer: That one's.
    """

    attendees: dict[Attendee, None] = field(default_factory=dict)
    number: int = 0
    answer: Announced | None = None


class KeptOrders:
    """What a node was told of its channels in groups and has not said that it took.

    Attributes:
        ends: Until when they are kept.
    """

    def __init__(self) -> None:
        self.ends = 0.0
        self._numbers: dict[tuple[str, str, bool], int] = {}  # the last one at the end

    def keep(self, group: str, channel: str, add: bool, *, number: int, ends: float) -> int:
        """Keep an order and return its number; 0 if there are as many as may be."""
        order = (group, channel, add)
        if len(self._numbers) >= ORDERS_KEPT and order not in self._numbers:
            return 0
        self.ends = ends
        self._numbers.pop(order, None)
        self._numbers[order] = number
        return number

    def all(self) -> list[Order]:
        """Return them, with the last one at the end."""
        return [Order(number, *order) for order, number in self._numbers.items()]

    def took(self, numbers: Collection[int]) -> int:
        """Keep these no more; return how many others there are."""
        for order in [order for order, each in self._numbers.items() if each in numbers]:
            del self._numbers[order]
        return len(self._numbers)


class KeptReport(NamedTuple):
    """What a process said of itself, when, and until when that is kept."""

    body: bytes
    came: float
    ends: float


SWEEP_INTERVAL = 60.0  # seconds between two looks at all that a shard keeps


@dataclass(slots=True)
class Shard:
    """What a Redis server holds under one hash tag.

    What has had its time goes when it is next looked at, or with the next `sweep`. Marks stay until
    they are told to go, as in Redis.
    """

    leases: dict[NodeId, float] = field(default_factory=dict)
    writers: dict[str, tuple[int, Published, float]] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    queues: dict[str, deque[tuple[float, bytes]]] = field(default_factory=dict)
    waiting: dict[str, dict[str, None]] = field(default_factory=dict)  # nodes, in their order
    marks: dict[str, Mark] = field(default_factory=dict)
    held: dict[str, tuple[int, float]] = field(default_factory=dict)  # how many, until when
    once: dict[tuple[str, str], Known] = field(default_factory=dict)
    rosters: dict[NodeId, Roster] = field(default_factory=dict)
    people: dict[str, Counter[str]] = field(default_factory=dict)  # by room: connections by person
    answers: dict[bytes, tuple[float, dict[NodeId, bytes]]] = field(default_factory=dict)
    orders: dict[NodeId, KeptOrders] = field(default_factory=dict)
    reports: dict[str, KeptReport] = field(default_factory=dict)  # by process
    totals: dict[int, dict[str, float]] = field(default_factory=dict)  # by step of time
    targeted: int = 100  # percent of the groups
    sweep_at: float = float("-inf")  # when all that is kept is looked at next

    def sweep(self, now: float) -> None:
        """Forget all that has had its time. Call it from `sweep_at` on."""
        self.sweep_at = now + SWEEP_INTERVAL
        self.leases = {node: ends for node, ends in self.leases.items() if ends > now}
        self.writers = {name: last for name, last in self.writers.items() if last[2] > now}
        self.held = {name: held for name, held in self.held.items() if held[1] > now}
        self.answers = {key: kept for key, kept in self.answers.items() if kept[0] > now}
        self.orders = {node: kept for node, kept in self.orders.items() if kept.ends > now}
        self.once = {key: known for key, known in self.once.items() if known.ends > now}
        for group in self.groups.values():
            group.expire(now)
            for node in [node for node in group.nodes if node not in self.leases]:
                del group.nodes[node]
        self.groups = {name: group for name, group in self.groups.items() if not group.is_empty}
        for queue in self.queues.values():
            while queue and queue[0][0] <= now:
                queue.popleft()
        self.queues = {name: queue for name, queue in self.queues.items() if queue}
        for nodes in self.waiting.values():
            for name in [name for name in nodes if NodeId(name) not in self.leases]:
                del nodes[name]
        self.waiting = {name: nodes for name, nodes in self.waiting.items() if nodes}
        # A node that lives goes on from its number. `clear` takes people, and tells their rooms.
        self.rosters = {
            node: roster
            for node, roster in self.rosters.items()
            if roster.attendees or node in self.leases
        }

    def is_for_all(self, item: Outgoing) -> bool:
        """Tell whether all nodes are told of a publication."""
        if item.for_all or self.targeted >= 100:
            return item.for_all
        return crc32(item.group.encode()) % 100 >= self.targeted

    def was_taken(self, mark: Mark | None) -> bool:
        """Tell whether a mark's source was taken that far already."""
        if mark is None or (last := self.marks.get(mark.source)) is None:
            return False
        return (mark.offset, mark.index) <= (last.offset, last.index)

    def published_as(self, item: Outgoing, now: float) -> Known | None:
        """Return what a publication's idempotency key stands for, if it does."""
        known = self.once.get((item.group, item.idempotency_key)) if item.idempotency_key else None
        return known if known is not None and now < known.ends else None

    def remember(self, item: Outgoing, known: Known, now: float) -> None:
        """Keep what a publication's idempotency key stands for; those whose time is over go."""
        for key in [*takewhile(lambda key: self.once[key].ends <= now, self.once)]:
            del self.once[key]
        self.once[item.group, item.idempotency_key] = known

    def living_reports(self, now: float) -> dict[str, KeptReport]:
        """Return what processes say of themselves, without what is over."""
        lost = self.lost_reports(now)
        for process, kept in list(self.reports.items()):
            if kept.ends <= now and process not in lost:
                del self.reports[process]
        return {name: kept for name, kept in self.reports.items() if kept.ends > now}

    def lost_reports(self, now: float) -> dict[str, KeptReport]:
        """Return what is over since a while and was not forgotten, the last to end first."""
        over = [
            (name, kept) for name, kept in self.reports.items() if now - LOST_FOR < kept.ends <= now
        ]
        return dict(sorted(over, key=lambda item: -item[1].ends)[:MAX_LOST])

    def add_totals(self, step: int, totals: Mapping[str, float]) -> None:
        """Add to the totals of a step of time; those that are too old go."""
        sums = self.totals.get(step)
        if sums is None:
            sums = self.totals[step] = {}
            for old in [number for number in self.totals if number <= step - TOTALS_STEPS]:
                del self.totals[old]
        for name, amount in totals.items():
            sums[name] = sums.get(name, 0.0) + amount

    def group(self, name: str, now: float) -> Group:
        """Return the group of that name as it is now, made if there was none."""
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = Group()
        group.expire(now)
        return group


class Ear:
    """What was told to one node and not yet heard by it.

    Args:
        loop: The node's event loop.
        listener: Hears on it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, listener: Listener) -> None:
        self._loop = loop
        self._listener = listener
        self._told: deque[tuple[int, bytes]] = deque()

    def __len__(self) -> int:
        """Return how many batches it has not heard."""
        return len(self._told)

    def tell(self, shard: int, batch: bytes) -> bool:
        """Have a packed batch heard in the loop's next turn; False if the loop is closed."""
        if self._loop.is_closed():
            return False
        self._told.append((shard, batch))
        try:
            self._loop.call_soon_threadsafe(self._hear_one)
        except RuntimeError:  # it was closed just now
            return False
        return True

    def hear(self) -> None:
        """Hear at once what was told until now. On the node's loop."""
        for _ in range(len(self._told)):
            self._hear_one()

    def _hear_one(self) -> None:
        if self._told:  # else it was heard before its turn
            self._listener.arrived(*self._told.popleft())


class MemoryServer:
    """What a Redis server is to the Redis backend. Thread-safe.

    Args:
        clock: Tells the time.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.lock = threading.Lock()
        self.swept_until = float("-inf")
        self.shards: dict[tuple[str, int], Shard] = {}
        self.listeners: dict[NodeId, Ear] = {}
        self._last_order = 0

    def order_clock(self) -> int:
        """Return the time by which orders are numbered, in µs."""
        return round(self.clock() * 1_000_000)

    def number_order(self) -> int:
        """Return the number of the next order: larger than each before, which nodes may know."""
        self._last_order = max(self._last_order + 1, self.order_clock())
        return self._last_order

    def tell(self, node: str, shard: int, batch: bytes) -> bool:
        """Hand a packed batch to a node, if it listens; return whether it does."""
        ear = self.listeners.get(NodeId(node))
        return ear is not None and ear.tell(shard, batch)


_servers: dict[str, MemoryServer] = {}


def server(url: str) -> MemoryServer:
    """Return this process's server of a `memory://NAME` address, made on first use."""
    return _servers.setdefault(url, MemoryServer())
