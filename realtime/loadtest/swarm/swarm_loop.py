"""The loop that holds a swarm's connections, and does what the command asks."""

from __future__ import annotations

import heapq
import itertools
import random
import resource
import select
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from realtime.loadtest.client_frames import UnexpectedFrame
from realtime.loadtest.delay_histogram import DelayHistogram
from realtime.loadtest.line_link import LineLink
from realtime.loadtest.swarm.completeness import Completeness
from realtime.loadtest.swarm.delivery_check import DeliveryCheck
from realtime.loadtest.swarm.load_connection import LoadConnection, Lost, SwarmTarget
from realtime.loadtest.swarm.load_person import UNKNOWN, LoadPerson
from realtime.loadtest.swarm.swarm_answers import SwarmAnswers

REPORT_EVERY: Final = 0.5  # seconds
_PATIENCE: Final = 30.0  # seconds that one connection may take to be subscribed
_LONGEST_WAIT: Final = 5.0  # seconds before a client tries again


class SwarmLoop:
    """Opens connections, keeps them, and checks what comes.

    Args:
        link: Where the command asks.
    """

    def __init__(self, link: LineLink) -> None:
        self._link = link
        self._epoll = select.epoll()
        self._epoll.register(link.fileno(), select.EPOLLIN)
        self._people: dict[int, LoadPerson] = {}
        self._open: dict[int, LoadPerson] = {}  # by descriptor
        self._making: set[int] = set()  # descriptors whose request is not sent yet
        self._queue: deque[LoadPerson] = deque()  # who connects next
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_numbers = itertools.count()
        self._waiting: list[tuple[float, Callable[[bool], bool]]] = []
        self._targets: list[SwarmTarget] = []
        self._at_once, self._pace, self._next = 32, 0.0, 0.0
        self._settlements = 0  # attempts to connect that came to an end
        self._outcomes: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()
        self._connects: array[int] = array("q")
        self._ready = self._turning = 0
        self._reconnects = False
        self._check = DeliveryCheck([], [], offset=0, keeps_positions=False)
        self._answers = SwarmAnswers(self._check)

    def run(self) -> None:
        """Serve until the command asks no more."""
        self._report_on()
        while not self._link.ended:
            self._turn()

    def _turn(self) -> None:
        now = time.monotonic()
        until = self._timers[0][0] - now if self._timers else REPORT_EVERY
        if self._queue and self._turning < self._at_once:
            until = min(until, self._next - now)
        for descriptor, _ in self._epoll.poll(max(0.0, min(until, 0.05 if self._waiting else 1))):
            if descriptor in self._making:
                self._connected(descriptor)
            elif descriptor in self._open:
                self._serve(self._open[descriptor])
            elif descriptor == self._link.fileno():
                self._link.read()
                while asked := self._link.take():
                    getattr(self, f"_do_{asked.do}")(asked.id, **asked.arguments)
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        self._connect_next(now)
        self._waiting = [each for each in self._waiting if not each[1](now > each[0])]

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        due = time.monotonic() + seconds
        heapq.heappush(self._timers, (due, next(self._timer_numbers), call))

    # --- What the command asks --------------------------------------------------------------

    def _do_setup(
        self,
        number: int,
        *,
        targets: list[dict[str, Any]],
        rooms: list[tuple[str, str, int]],
        offset: int,
        keeps_positions: bool,
        reconnects: bool,
    ) -> None:
        """Take the targets and the rooms: name, token and shard of each."""
        self._targets[:] = [SwarmTarget.of(**target) for target in targets]
        self._check = DeliveryCheck(
            [(name, token) for name, token, _ in rooms],
            [shard for _, _, shard in rooms],
            offset=offset,
            keeps_positions=keeps_positions,
        )
        self._answers = SwarmAnswers(self._check)
        self._reconnects = reconnects
        self._link.answer(number, {})

    def _do_clock(self, number: int) -> None:
        """Tell this machine's clock."""
        self._link.answer(number, {"now": time.monotonic_ns()})

    def _do_open(
        self,
        number: int,
        *,
        people: list[tuple[int, list[int], str, str]],
        at_once: int,
        pace: float,
    ) -> None:
        """Connect these clients, or those of them that left, again; answer when all are settled.

        Args:
            number: Of the question.
            people: Number, rooms, token and address of each.
            at_once: How many may be under way.
            pace: How many begin in a second at most; 0: any number.
        """
        self._at_once, self._pace = at_once, pace
        self._next = max(self._next, time.monotonic())
        wanted = []
        for who, rooms, token, source in people:
            person = self._people.get(who)
            if person is None:
                person = self._people[who] = LoadPerson(who, rooms, token, source)
            person.ordered_off = False
            wanted.append(person)
        self._queue.extend(wanted)
        goal = self._settlements + len(wanted)

        def settled(_: bool) -> bool:
            if self._queue or self._turning or self._settlements < goal:
                return False
            ready = sum(person.is_ready for person in wanted)
            self._link.answer(number, {"ready": ready, "asked": len(wanted)})
            return True

        self._waiting.append((float("inf"), settled))

    def _do_leave(self, number: int, *, people: list[int], politely: bool) -> None:
        """Have clients go, with a close frame or without a word."""
        for who in people:
            person = self._people[who]
            person.ordered_off = True
            if person.connection is not None:
                self._drop(person, politely=politely)
            elif person in self._queue:
                self._queue.remove(person)
        self._link.answer(number, {})

    def _do_switch(self, number: int, *, moves: list[tuple[int, list[int], list[int]]]) -> None:
        """Have connected clients leave rooms and join others; answer when all did.

        Args:
            number: Of the question.
            moves: Client, rooms to leave, rooms to join.
        """
        wanted = []
        for who, leaving, joining in moves:
            person = self._people[who]
            if person.connection is None or not person.is_ready:
                continue
            wanted.append(person)
            for command in self._answers.moves(person, leaving, joining):
                self._send(person, command)

        def moved(late: bool) -> bool:
            if not late and any(person.waits_for and person.connection for person in wanted):
                return False
            self._link.answer(number, {"moved": sum(not person.waits_for for person in wanted)})
            return True

        self._waiting.append((time.monotonic() + _PATIENCE, moved))

    def _do_begin(self, number: int) -> None:
        """Have number 0 come next for whoever is in a room without history."""
        for person in self._people.values():
            for room, expected in person.expected.items():
                if expected == UNKNOWN:
                    person.expected[room] = 0
        self._link.answer(number, {})

    def _do_finish(
        self,
        number: int,
        *,
        published: dict[str, int],
        uncertain: list[tuple[int, int]],
        patience: float,
    ) -> None:
        """Answer what is missing, when nothing is any more, or after so many seconds.

        Args:
            number: Of the question.
            published: How many numbers each room had, by index.
            uncertain: Room and number of publications that may be there or not.
            patience: Seconds.
        """
        checking = Completeness(published, uncertain)

        def finished(late: bool) -> bool:
            people = self._people.values()
            if not late and any(checking.is_behind(person) for person in people):
                return False
            self._report()  # before the answer, or the last deliveries would be told too late
            self._link.answer(number, checking.answer(people))
            return True

        self._waiting.append((time.monotonic() + patience, finished))

    def _do_where(self, number: int) -> None:
        """Tell the node of each client that is subscribed."""
        where = {
            str(person.number): person.node for person in self._people.values() if person.is_ready
        }
        self._link.answer(number, {"where": where})

    # --- Connections ------------------------------------------------------------------------

    def _connect_next(self, now: float) -> None:
        while self._queue and self._turning < self._at_once and self._next <= now:
            if self._pace:
                self._next += 1 / self._pace
            person = self._queue.popleft()
            if person.connection is not None or person.ordered_off:
                self._settlements += 1  # it is there already, or left meanwhile
                continue
            self._turning += 1
            person.began = time.monotonic()
            try:
                target = self._targets[person.number % len(self._targets)]
                connection = LoadConnection(target, person.source)
            except OSError as error:
                self._settled(person, f"no connection: errno {error.errno}")
                continue
            person.connection = connection
            descriptor = connection.socket.fileno()
            self._making.add(descriptor)
            self._open[descriptor] = person
            self._epoll.register(descriptor, select.EPOLLOUT)
            self._later(_PATIENCE, partial(self._give_up, person, connection))

    def _give_up(self, person: LoadPerson, connection: LoadConnection) -> None:
        if person.connection is connection and not person.is_ready:
            self._lost(person, f"no answer in {_PATIENCE:.0f} s")

    def _connected(self, descriptor: int) -> None:
        person = self._open[descriptor]
        connection = person.connection
        if connection is None:
            return
        try:
            done = connection.connected()
        except Lost as error:
            self._lost(person, str(error))
            return
        if connection.socket.fileno() != descriptor:  # TLS took the socket over
            self._making.discard(descriptor)
            del self._open[descriptor]
            descriptor = connection.socket.fileno()
            self._making.add(descriptor)
            self._open[descriptor] = person
            self._epoll.register(descriptor, select.EPOLLIN)
        else:
            self._epoll.modify(descriptor, select.EPOLLIN)
        if done:
            self._making.discard(descriptor)

    def _serve(self, person: LoadPerson) -> None:
        connection = person.connection
        if connection is None:
            return
        was_open, was_ready = connection.is_open, person.is_ready
        try:
            texts = connection.read()
            if connection.is_open and not was_open:
                person.opened = time.monotonic()
                for command in person.greeting(self._check.rooms):
                    connection.send(command)
            now = time.monotonic_ns()
            buffer, take_push = LoadConnection.BUFFER, self._check.take_push
            for start, stop in texts:
                # An answer begins with {"id"; what carries no stamp is for the slow way as well.
                if buffer[start + 2] == 0x69 or not take_push(person, start, stop, now):
                    self._answers.take(person, bytes(buffer[start:stop]))
        except (Lost, UnexpectedFrame) as error:
            self._lost(person, str(error))
            return
        if person.is_ready and not was_ready:
            self._now_ready(person)

    def _now_ready(self, person: LoadPerson) -> None:
        self._ready += 1
        person.attempts, person.wait = 0, None
        self._check.connected[person.node or ""] += 1
        self._connects.append(int((time.monotonic() - person.began) * 1e9))
        self._settled(person, "subscribed")

    def _settled(self, person: LoadPerson, outcome: str) -> None:
        self._turning -= 1
        self._settlements += 1
        self._outcomes[outcome] += 1

    def _send(self, person: LoadPerson, command: bytes) -> None:
        if person.connection is not None:
            try:
                person.connection.send(command)
            except Lost as error:
                self._lost(person, str(error))

    def _lost(self, person: LoadPerson, why: str) -> None:
        """Deal with a connection that the server refused or cut."""
        was_ready = person.is_ready
        self._drop(person, politely=False)
        if was_ready:
            self._losses[why] += 1
        else:
            self._settled(person, why)
        if self._reconnects and not person.ordered_off:
            person.attempts += 1
            wait = person.wait
            if wait is None:
                wait = random.uniform(0, min(_LONGEST_WAIT, 0.5 * 2 ** (person.attempts - 1)))  # noqa: S311
            person.wait = None
            self._later(wait, lambda: self._queue.append(person))

    def _drop(self, person: LoadPerson, *, politely: bool) -> None:
        connection = person.connection
        if connection is None:
            return
        descriptor = connection.socket.fileno()
        self._epoll.unregister(descriptor)
        self._making.discard(descriptor)
        del self._open[descriptor]
        connection.close(politely=politely)
        person.connection = None
        person.waits_for = 0
        if person.is_ready:
            self._ready -= 1
            self._check.connected[person.node or ""] -= 1
        elif person.ordered_off:
            self._settled(person, "left before it was subscribed")
        person.is_ready = False

    # --- Reports ----------------------------------------------------------------------------

    def _report_on(self) -> None:
        self._report()
        self._later(REPORT_EVERY, self._report_on)

    def _report(self) -> None:
        connects = DelayHistogram()
        connects.take(self._connects)
        self._connects = array("q")
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._link.report(
            {
                "connected": self._ready,
                "connecting": self._turning + len(self._queue),
                "outcomes": self._outcomes,
                "losses": self._losses,
                "connects": connects.as_json(),
                "cpu": usage.ru_utime + usage.ru_stime,
                "at": time.monotonic(),
                **self._check.report(),
            }
        )
