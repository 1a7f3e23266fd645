"""Steps that several scenarios take: a crowd connects, and a stream is published to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from realtime.loadtest.load_failed import LoadFailed
from realtime.loadtest.load_session import LoadClient, LoadSession
from realtime.loadtest.reporting.load_report import LoadReport
from realtime.loadtest.scenarios.load_arguments import check_entered


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have work go on while a block runs, which ends it; what it raised is raised then."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        outcome = await asyncio.gather(task, return_exceptions=True)
    if isinstance(outcome[0], Exception):
        raise outcome[0]


def spread_crowd(options: Mapping[str, Any]) -> list[LoadClient]:
    """Return `--clients`, each in one of `--rooms` rooms, which are equally full."""
    rooms: int = options["rooms"]
    return [LoadClient(number, [number % rooms]) for number in range(options["clients"])]


async def connect_crowd(
    session: LoadSession,
    options: Mapping[str, Any],
    report: LoadReport,
    people: list[LoadClient],
) -> bool:
    """Connect all, and note who was refused; return whether anybody got in."""
    session.view.phase(f"{len(people):,} clients connect to {len(session.rooms):,} rooms.")
    ready = await session.open(people, pace=options["pace"])
    check_entered(report, options, ready, len(people))
    if not ready:
        report.findings.append("No client got in, so nothing was published.")
        return False
    await session.begin()
    return True


async def publish_stream(session: LoadSession, options: Mapping[str, Any]) -> float:
    """Publish `--rate` a second for `--seconds`; return how long it took."""
    count = round(options["rate"] * options["seconds"])
    if not count:
        raise LoadFailed("--rate and --seconds make no publication.")
    session.view.phase(
        f"{count:,} publications, {options['rate']:g} a second, through {options['through']}."
    )
    began = time.monotonic()
    await session.publish(rate=options["rate"], count=count, size=options["size"])
    return time.monotonic() - began
