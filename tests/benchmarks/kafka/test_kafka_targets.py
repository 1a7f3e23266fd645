"""What `kafka` has to reach, from figures, and how its clients are spread over rooms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.greeting import Greeting
from benchmarks.kafka.plans import ALONE, BACKLOG, PLANS, RATE, Plan, Stream, measure_of, whole
from benchmarks.kafka.sides import BESIDE, OURS, checkout, ours
from benchmarks.kafka.targets import COST, FASTER, LIMITS, kafka_targets
from benchmarks.layer.figures import Figure


def figures(share: float, faster: float, alone: float, lost: int = 0) -> list[Figure]:
    """Return one round of everything; ours needs `share` of what is beside it."""
    said = [(measure, BESIDE, 100.0) for measure in (*LIMITS, *FASTER)]
    said += [(measure, OURS, 100.0 * share) for measure in LIMITS]
    said += [(measure, OURS, 100.0 * faster) for measure in FASTER]
    said += [(ALONE, OURS, alone)]
    return [
        Figure(measure=measure, layer=side, round=1, value=value, unit="", calls=1, lost=lost)
        for measure, side, value in said
    ]


def test_what_is_reached() -> None:
    """Each limit counts by itself; of the others' losses nobody is told."""
    every = len(LIMITS) + len(FASTER) + len(COST) + 1
    assert [each.reached for each in kafka_targets(figures(0.4, 1.3, 19))] == [True] * every
    missed = [each.reached for each in kafka_targets(figures(0.9, 1.1, 21, lost=1))]
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
