"""The clients' process: `python -m benchmarks.faults.clients`, told by the benchmark what to do."""

from __future__ import annotations

import asyncio

from benchmarks.conversation import obey
from benchmarks.faults.clients.crowd import Crowd


async def _run() -> None:
    crowd = Crowd()
    names = ("join", "begin", "mended", "is_well", "time", "timed", "collect")
    await obey({name: getattr(crowd, name) for name in names})


if __name__ == "__main__":
    asyncio.run(_run())
