"""The faults, one by one."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.faults.system import ALWAYS, EVERYSEC, REDISES, SNAPSHOTS, WORKERS, System

ANSWER = 10.0  # seconds
SNAPSHOT_AGE = 1.0  # seconds
STORED_WITHIN = 30.0  # seconds


Step = Callable[[System, int], object]
"""Takes the system and the victim's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that breaks and is mended.

    Attributes:
        name: As the command takes it.
        what: In the table.
        victims: How many there are to choose from.
        harm: Breaks it.
        mend: Mends it.
        hold: Seconds between the two.
        spared: Whether there is another that can take over at once, so that all should be well soon
            after the harm, not after the mending.
        forgets: Whether the promise is that clients are told what they missed, since what could
            bring it back is gone.
        pause: The longest time for which a client may hear nothing from when all should be well
            soon, in seconds; None: no promise.
        kafka: Whether it is about Kafka.
        disk: How the Redis servers keep their data, one of benchmarks.faults.system.DISKS.
        durable: Whether it takes a broker that keeps its data over a restart.
    """

    name: str
    what: str
    harm: Step
    mend: Step
    victims: int = 1
    hold: float = 0.0
    spared: bool = False
    forgets: bool = False
    pause: float | None = None
    kafka: bool = False
    durable: bool = False
    disk: str = ALWAYS


def _signals(number: signal.Signals, pid_of: Callable[[System, int], int | None]) -> Step:
    def send(system: System, victim: int) -> None:
        pid = pid_of(system, victim)
        if pid is None:
            raise ProcessLookupError("there is no such process to stop")
        os.kill(pid, number)

    return send


def _stops(pid_of: Callable[[System, int], int | None]) -> Step:
    return _signals(signal.SIGSTOP, pid_of)


def _continues(pid_of: Callable[[System, int], int | None]) -> Step:
    return _signals(signal.SIGCONT, pid_of)


def _start_empty(system: System, victim: int) -> None:
    system.empty(victim)
    system.redises[victim].start()


def _kill_after_snapshot(system: System, victim: int) -> None:
    system.save(victim)
    stored = system.stored(victim)
    time.sleep(SNAPSHOT_AGE)
    deadline = time.monotonic() + STORED_WITHIN
    while system.stored(victim) == stored:  # a busy machine may have published nothing
        if time.monotonic() > deadline:
            raise TimeoutError("nothing is stored any more")
        time.sleep(0.1)
    system.redises[victim].kill()


def _broker_pid(system: System, victim: int) -> int | None:
    return system.broker.pid if system.broker else None


FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(
            name="kill-worker",
            what="a worker killed (-9), started after 2 s",
            harm=lambda system, victim: system.workers[victim].stop(),
            mend=lambda system, victim: system.restart_worker(victim),
            victims=WORKERS,
            hold=2.0,
            spared=True,
            pause=2.0,
        ),
        Fault(
            name="kill-pool",
            what="the pool killed (-9), started at once",
            harm=lambda system, victim: system.pool.stop(),
            mend=lambda system, victim: system.restart_pool(),
            kafka=True,
        ),
        Fault(
            name="kill-redis",
            what="a Redis killed (-9), started after 1 s",
            harm=lambda system, victim: system.redises[victim].kill(),
            mend=lambda system, victim: system.redises[victim].start(),
            victims=REDISES,
            hold=1.0,
            pause=2.0,
        ),
        Fault(
            name="restart-redis",
            what="a Redis restarted, written every second",
            harm=lambda system, victim: system.redises[victim].stop(),
            mend=lambda system, victim: system.redises[victim].start(),
            victims=REDISES,
            hold=1.0,
            pause=2.0,
            disk=EVERYSEC,
        ),
        Fault(
            name="kill-everysec",
            what="a Redis killed (-9), written every second",
            harm=lambda system, victim: system.redises[victim].kill(),
            mend=lambda system, victim: system.redises[victim].start(),
            victims=REDISES,
            hold=1.0,
            forgets=True,  # a write waits for up to 2 s while the disk is busy
            disk=EVERYSEC,
        ),
        Fault(
            name="snapshot-redis",
            what="a Redis killed (-9), 1 s after a snapshot",
            harm=_kill_after_snapshot,
            mend=lambda system, victim: system.redises[victim].start(),
            victims=REDISES,
            hold=1.0,
            forgets=True,
            disk=SNAPSHOTS,
        ),
        Fault(
            name="empty-redis",
            what="a Redis killed and started empty",
            harm=lambda system, victim: system.redises[victim].kill(),
            mend=_start_empty,
            victims=REDISES,
            hold=1.0,
            forgets=True,
        ),
        Fault(
            name="stop-worker",
            what="a worker stopped (SIGSTOP) for 8 s, past its lease",
            harm=_stops(lambda system, victim: system.workers[victim].pid),
            mend=_continues(lambda system, victim: system.workers[victim].pid),
            victims=WORKERS,
            hold=8.0,
        ),
        Fault(
            name="stop-pool",
            what="the pool stopped for 8 s, past its session",
            harm=_stops(lambda system, victim: system.pool.pid),
            mend=_continues(lambda system, victim: system.pool.pid),
            hold=8.0,
            kafka=True,
        ),
        Fault(
            name="stop-redis",
            what="a Redis stopped for 8 s",
            harm=_stops(lambda system, victim: system.redises[victim].pid),
            mend=_continues(lambda system, victim: system.redises[victim].pid),
            victims=REDISES,
            hold=8.0,
        ),
        Fault(
            name="stop-kafka",
            what="Kafka stopped for 8 s",
            harm=_stops(_broker_pid),
            mend=_continues(_broker_pid),
            hold=8.0,
            kafka=True,
        ),
        Fault(
            name="swallow",
            what="a worker's connections to a Redis swallow bytes for 10 s",
            harm=lambda system, victim: system.proxy.ask("swallow", ANSWER),
            mend=lambda system, victim: system.proxy.ask("restore", ANSWER),
            hold=10.0,
        ),
        Fault(
            name="kill-kafka",
            what="Kafka killed (-9), started after 2 s",
            harm=lambda system, victim: system.broker.kill() if system.broker else None,
            mend=lambda system, victim: system.broker.start() if system.broker else None,
            hold=2.0,
            kafka=True,
            durable=True,
        ),
    )
}
"""By name, in the order of the table."""


def chosen(count: int, seed: int, *, durable: bool) -> list[tuple[Fault, int, float]]:
    """Return faults at random, each with its victim and how long it lasts.

    None of those that make a Redis forget: what was promised in the other rows holds for each.
    """
    chance = random.Random(seed)
    choice = [
        fault
        for fault in FAULTS.values()
        if fault.disk == ALWAYS and not fault.forgets and (durable or not fault.durable)
    ]
    picked = (chance.choice(choice) for _ in range(count))
    return [
        (fault, chance.randrange(fault.victims), chance.uniform(0, fault.hold)) for fault in picked
    ]
