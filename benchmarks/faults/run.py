"""Runs the faults that were asked for."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.faults.brokers import APACHE, missing
from benchmarks.faults.catalogue import FAULTS, Fault, chosen
from benchmarks.faults.plan import FULL, JOIN, POOL, SMALL, Plan
from benchmarks.faults.rows import JOINING, KILLS, Row
from benchmarks.faults.sources.base import KAFKA
from benchmarks.faults.system import DISKS, REDISES, System

RANDOM = "random"
NAMES = (*FAULTS, RANDOM, KILLS, JOINING)
"""What can be asked for."""

JOIN_SECONDS = 60.0
JOIN_SECONDS_QUICK = 10.0
KILLED = 20  # times
KILLED_QUICK = 2
RECORDS = 100_000  # in Kafka, that those kills are to go through
RECORDS_QUICK = 2_000
LIVES = 0.5, 9.0  # seconds between two of those kills: the longest is past a session
LEAD = 1.0  # seconds of peace before a fault
REST = 1.0  # seconds of peace after it
PATIENCE = 90.0  # seconds until all is well, at most


def run_faults(
    names: Sequence[str],
    folder: Path,
    *,
    count: int,
    seed: int,
    broker: str,
    quick: bool,
    say: Callable[[str], object],
) -> Iterator[Row]:
    """Yield a row for each fault, as soon as it is over.

    Args:
        names: Of NAMES.
        folder: For data and logs.
        count: How many random ones.
        seed: Decides them, and who is hit.
        broker: A kind of benchmarks.faults.brokers. What takes a broker that keeps its data is
            run on Apache Kafka in any case, or left out with a line where there is none.
        quick: Whether the system is a small one.
        say: Takes a line for people.
    """
    plan = SMALL if quick else FULL
    chance = random.Random(seed)
    durable = broker == APACHE
    faults = [FAULTS[name] for name in names if name in FAULTS]
    here = [
        (fault, chance.randrange(fault.victims), fault.hold)
        for fault in faults
        if durable or not fault.durable
    ]
    if RANDOM in names:
        here += chosen(count, seed, durable=durable)
    for disk in DISKS:
        kept_so = [each for each in here if each[0].disk == disk]
        if kept_so:
            home = folder / f"system-{disk}"
            disks = [disk] * REDISES
            with System(plan, broker=broker, folder=home, seed=seed, disks=disks) as system:
                for fault, victim, seconds in kept_so:
                    yield suffer(system, fault, victim, seconds)
    elsewhere = [fault for fault in faults if fault.durable and not durable]
    if elsewhere and (lacking := missing(APACHE)):
        say(f"Without {', '.join(fault.name for fault in elsewhere)}: {lacking} not installed.")
    elif elsewhere:
        with System(plan, broker=APACHE, folder=folder / "apache", seed=seed) as system:
            for fault in elsewhere:
                yield suffer(system, fault, 0, fault.hold)
    if KILLS in names:
        times, records = (KILLED_QUICK, RECORDS_QUICK) if quick else (KILLED, RECORDS)
        with System(POOL, broker=broker, folder=folder / "kills", seed=seed) as system:
            yield kill_again_and_again(system, POOL, times, records, chance)
    if JOINING in names:
        seconds = JOIN_SECONDS_QUICK if quick else JOIN_SECONDS
        with System(JOIN, broker=broker, folder=folder / "join", seed=seed) as system:
            yield come_and_go(system, JOIN, seconds)


def suffer(system: System, fault: Fault, victim: int, seconds: float) -> Row:
    """Have a fault happen to the system and return what came of it."""
    system.begin()
    time.sleep(LEAD)
    begun = time.monotonic_ns()
    fault.harm(system, victim)
    if fault.spared:
        system.mended(begun)
    time.sleep(seconds)
    fault.mend(system, victim)
    if not fault.spared:
        system.mended(time.monotonic_ns())
    system.wait_until_well(PATIENCE)
    time.sleep(REST)
    return Row(
        fault=fault.name,
        what=fault.what,
        victim=victim,
        seconds=seconds,
        forgets=fault.forgets,
        pause_limit_ms=None if fault.pause is None else fault.pause * 1e3,
        **system.end(),
    )


def come_and_go(system: System, plan: Plan, seconds: float) -> Row:
    """Publish while clients leave and resume, and return what came of it."""
    system.begin()
    begun = time.monotonic()
    time.sleep(seconds)
    account = system.end()
    rate = account["published"] / (time.monotonic() - begun)
    what = f"{plan.clients} clients drop and resume, {rate:,.0f} messages/s published"
    return _untimed(JOINING, what, seconds, account)


def kill_again_and_again(
    system: System, plan: Plan, times: int, records: int, chance: random.Random
) -> Row:
    """Kill the pool at random moments while records are written, and return what came of it."""
    system.begin()
    begun = time.monotonic()
    for _ in range(times):
        time.sleep(chance.uniform(*LIVES))
        system.pool.stop()
        system.restart_pool()
    system.mended(time.monotonic_ns())
    rest = records / (plan.rate * plan.rooms) - (time.monotonic() - begun)
    time.sleep(max(0.0, rest))
    system.wait_until_well(PATIENCE)
    account = system.end()
    what = f"{system.published[KAFKA]:,} records in Kafka, the pool killed (-9) {times} times"
    return _untimed(KILLS, what, time.monotonic() - begun, account)


def _untimed(name: str, what: str, seconds: float, account: Mapping[str, Any]) -> Row:
    """Return the row of a slice that is not one fault: nobody is the victim, no pause promised."""
    return Row(
        fault=name,
        what=what,
        victim=0,
        seconds=seconds,
        forgets=False,
        pause_limit_ms=None,
        **account,
    )
