"""Which worker gets the next connection."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from shardlayer.balancer.choosing import choose


@dataclass
class Seat:
    """A worker, as it is chosen."""

    connections: int = 0
    silent: int = 0
    capacity: int = 0
    reserve: int = 0
    takes: bool = True
    stalled: bool = False


def arrive(seats: list[Seat], after: int) -> int:
    """Let a connection come; return who got it."""
    chosen = choose(seats, after=after)
    assert chosen is not None
    seats[chosen].connections += 1
    return chosen


@given(st.integers(1, 9), st.integers(0, 100))
def test_arrivals_alone_leave_a_difference_of_one(workers: int, arrivals: int) -> None:
    """Whoever comes, and nobody goes."""
    seats = [Seat() for _ in range(workers)]
    last = -1
    for _ in range(arrivals):
        last = arrive(seats, last)
        loads = [seat.connections for seat in seats]
        assert max(loads) - min(loads) <= 1


def test_departures_are_filled() -> None:
    """After random departures the next arrivals go to who has the fewest."""
    chance = random.Random(7)
    seats = [Seat() for _ in range(4)]
    last = -1
    for _ in range(5_000):
        if chance.random() < 0.45 and any(seat.connections > 0 for seat in seats):
            leaver = chance.choice([seat for seat in seats if seat.connections])
            leaver.connections -= 1
        else:
            last = arrive(seats, last)
    for _ in range(max(seat.connections for seat in seats) * 4):
        last = arrive(seats, last)
    loads = [seat.connections for seat in seats]
    assert max(loads) - min(loads) <= 1


def test_equals_take_turns() -> None:
    """Even if each connection ends at once."""
    seats = [Seat() for _ in range(3)]
    chosen = []
    last = -1
    for _ in range(6):
        last = arrive(seats, last)
        seats[last].connections -= 1
        chosen.append(last)
    assert chosen == [0, 1, 2, 0, 1, 2]


def test_room() -> None:
    """A worker that is full, or takes nothing, is passed over; without another there is none."""
    full, blocked = Seat(5, capacity=5), Seat(0, takes=False)
    assert choose([full, blocked, Seat(9, capacity=10)], after=-1) == 2
    assert choose([full, blocked], after=-1) is None
    assert choose([], after=-1) is None


def test_stalled_is_better_than_nobody() -> None:
    """A worker that is not heard of gets a connection only if no other one has room."""
    stalled, busy = Seat(0, stalled=True), Seat(9, capacity=10)
    assert choose([stalled, busy], after=-1) == 1
    busy.connections = 10
    assert choose([stalled, busy], after=-1) == 0
    assert choose([Seat(3, stalled=True), stalled], after=-1) == 1


def test_reserve() -> None:
    """A page finds room beyond the capacity, and a refusal in TLS beyond that."""
    seats = [Seat(5, capacity=5, reserve=1)]
    assert choose(seats, after=0) is None
    assert choose(seats, after=0, into_reserve=True) == 0
    seats[0].connections = 6
    assert choose(seats, after=0, into_reserve=True) is None
    assert choose(seats, after=0, into_reserve=True, beyond=1) == 0


def test_who_asks_for_something_has_the_places_of_the_silent() -> None:
    """Who is silent itself has not: so there are no more of these than places."""
    seats = [Seat(7, silent=3, capacity=5), Seat(8, silent=3, capacity=5)]
    assert choose(seats, after=-1) is None
    assert choose(seats, after=-1, asks=True) == 0
    seats[0].connections = 8
    assert choose(seats, after=-1, asks=True) is None
