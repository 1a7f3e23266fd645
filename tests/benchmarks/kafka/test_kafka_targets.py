"""What `kafka` has to reach, from figures, and how its clients are spread over rooms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.greeting import Greeting
from benchmarks.kafka.plans import ALONE, BACKLOG, PLANS, RATE, Plan, Publishing, Stream
from benchmarks.kafka.pool_sharing import Sharing
from benchmarks.kafka.sides import (
    BESIDE,
    LOOP,
    OURS,
    SEPARATE,
    checkout,
    loop,
    ours,
    separate,
)
from benchmarks.kafka.slice_figures import measure_of, whole
from benchmarks.kafka.targets import COST, FASTER, LIMITS, SHARED, kafka_targets
from benchmarks.layer.figures import Figure


def figures(
    share: float, faster: float, alone: float, shared: float, lost: int = 0
) -> list[Figure]:
    """Return one round of everything.

    Ours needs `share` of what is beside it, and `shared` of what consumers in each worker need.
    """
    said = [(measure, BESIDE, 100.0) for measure in (*LIMITS, *FASTER)]
    said += [(measure, OURS, 100.0 * share) for measure in LIMITS]
    said += [(measure, OURS, 100.0 * faster) for measure in FASTER]
    said += [(ALONE, OURS, alone)]
    said += [(measure, SEPARATE, 100.0) for measure in SHARED]
    said += [(measure, OURS, 100.0 * shared) for measure in SHARED]
    return [
        Figure(measure=measure, layer=side, round=1, value=value, unit="", calls=1, lost=lost)
        for measure, side, value in said
    ]


def test_what_is_reached() -> None:
    """Each limit counts by itself; of the others' losses nobody is told."""
    every = len(LIMITS) + len(FASTER) + len(COST) + len(SHARED) + 1
    assert [each.reached for each in kafka_targets(figures(0.4, 1.3, 19, 0.29))] == [True] * every
    missed = [each.reached for each in kafka_targets(figures(0.9, 1.1, 21, 0.31, lost=1))]
    assert missed == [False] * every
    assert [each.reached for each in kafka_targets([])] == [None] * every
    assert measure_of(BACKLOG, RATE) in FASTER


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("quick", [False, True])
def test_each_room_has_as_many_clients_and_records(name: str, quick: bool) -> None:
    """Else nobody could count them."""
    assert [whole(count, 100) for count in (1, 199, 200)] == [100, 100, 200]
    made: Plan = PLANS[name]()
    plan = made.quick() if quick else made
    if isinstance(plan, Stream):
        assert plan.clients % plan.rooms == 0
        assert plan.clients % plan.workers == 0
        assert re.fullmatch(r"[a-z0-9._-]+", plan.topic(ours(), 1))
    if isinstance(plan, Sharing):
        assert [plan.rooms % workers for workers in plan.workers] == [0] * len(plan.workers)


@pytest.mark.parametrize("name", PLANS)
def test_which_sides_have_a_turn(name: str) -> None:
    """What has no layer can't publish; consumers in each worker are beside a shared pool only."""
    plan: Plan = PLANS[name]()
    turns = [side.name for side in (ours(), loop(), separate()) if plan.takes(side)]
    expected = {Stream: [OURS, LOOP], Publishing: [OURS], Sharing: [OURS, SEPARATE]}
    assert turns == expected[type(plan)]


def test_clients_are_dealt_out_to_rooms() -> None:
    """By their numbers."""
    greeting = Greeting(path="/ws/?room=room-{room}", rooms=3)
    paths = [greeting.path_of(number) for number in range(4)]
    assert paths == [f"/ws/?room=room-{number}" for number in (0, 1, 2, 0)]
    assert Greeting.from_json(greeting.as_json()) == greeting


def test_checkout_of_before_there_were_rules(tmp_path: Path) -> None:
    """It has no settings of its own that open the rooms: they were open."""
    assert ours().environment["DJANGO_SETTINGS_MODULE"] == "benchmarks.peers.ours.settings"
    old = checkout(BESIDE, tmp_path, "python")
    assert old.environment["DJANGO_SETTINGS_MODULE"] == "config.settings"
