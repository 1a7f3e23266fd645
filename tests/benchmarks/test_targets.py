from __future__ import annotations

from dataclasses import replace

from benchmarks.samples import Connected, Delivered
from benchmarks.targets import (
    BURSTS,
    FLOOD,
    ONE_BY_ONE,
    Target,
    broadcast_targets,
    connect_targets,
)

_SAMPLE = Delivered(
    scenario=ONE_BY_ONE,
    peer="ours",
    round=1,
    members=500,
    published=100,
    received=50_000,
    lost=0,
    misordered=0,
    cut=0,
    stalled=False,
    seconds=2.0,
    us_per_delivery=5.0,
    deliveries_per_s=25_000.0,
    p50_ms=1.0,
    p95_ms=2.0,
    p99_ms=3.0,
    max_ms=4.0,
    late_ms=0.0,
    server_busy=0.5,
    clients_busy=0.5,
    redis_us_per_message=10.0,
    publisher_us_per_message=10.0,
)


def _by_measure(samples: list[Delivered]) -> dict[str, Target]:
    return {target.measure: target for target in broadcast_targets(samples)}


def test_ratios_are_of_the_same_round_whatever_the_order_of_the_samples() -> None:
    """The second round ran at half the speed and its samples came in reverse."""
    samples = [
        _SAMPLE,
        replace(_SAMPLE, peer="send", us_per_delivery=4.0),
        replace(_SAMPLE, round=2, peer="send", us_per_delivery=8.0),
        replace(_SAMPLE, round=2, us_per_delivery=10.0),
    ]
    measured = _by_measure(samples)["CPU per delivery, one by one / send(2)"].measured
    assert measured is not None
    assert (measured.low, measured.high, measured.count) == (1.25, 1.25, 2)


def test_bursts_are_held_against_single_sends() -> None:
    """What counts is how much a delivery costs less when twenty are written at once."""
    samples = [
        replace(_SAMPLE, scenario=BURSTS, us_per_delivery=1.0),
        replace(_SAMPLE, scenario=ONE_BY_ONE, peer="send", us_per_delivery=4.0),
        replace(_SAMPLE, scenario=BURSTS, peer="send", us_per_delivery=1000.0),
    ]
    target = _by_measure(samples)["CPU per delivery, bursts / send(2) one by one"]
    assert target.measured is not None
    assert target.measured.median == 0.25
    assert target.reached is True


def test_one_round_that_lost_something_misses_the_target() -> None:
    """The median of lost deliveries would hide it."""
    flood = replace(_SAMPLE, scenario=FLOOD)
    samples = [replace(flood, round=i, lost=i // 3) for i in (1, 2, 3)]
    targets = _by_measure(samples)
    assert targets["deliveries lost, 25 messages/s"].reached is False
    assert targets["p95, 25 messages/s"].reached is True


def test_slice_without_a_delivery_is_missed() -> None:
    """It lost nothing if nothing was published, and no delivery was late."""
    flood = replace(_SAMPLE, scenario=FLOOD)
    empty = replace(flood, round=2, published=0, received=0, us_per_delivery=0.1, p95_ms=0.0)
    theirs = [replace(each, peer="send") for each in (flood, replace(flood, round=2))]
    targets = _by_measure([flood, empty, *theirs])
    for measure in (
        "deliveries lost, 25 messages/s",
        "p95, 25 messages/s",
        "CPU per delivery, 25 messages/s / send(2)",
    ):
        assert (targets[measure].reached, targets[measure].lacking) == (False, "nothing measured")


def test_a_target_whose_peers_did_not_run_is_neither_reached_nor_missed() -> None:
    """Leaving a peer out isn't a pass."""
    assert all(target.reached is None for target in broadcast_targets([]))
    assert all(target.reached is None for target in connect_targets([]))


def test_memory_is_judged_by_its_median() -> None:
    """One round's outlier doesn't decide."""
    sample = Connected(
        peer="ours",
        round=1,
        connections=2000,
        open_before=200,
        seconds=1.0,
        ms_per_connect=0.3,
        kb_per_connection=18.0,
        redis_us_per_connect=1.0,
        clients_busy=0.2,
    )
    sizes = [18.0, 19.0, 30.0]
    samples = [
        replace(sample, round=i, kb_per_connection=size) for i, size in enumerate(sizes, start=1)
    ]
    memory = connect_targets(samples)[1]
    assert memory.measured is not None
    assert memory.measured.median == 19.0
    assert memory.reached is True
