"""The clients' process: `python -m benchmarks.faults.clients`, told by the benchmark what to do."""

from __future__ import annotations

import asyncio

from benchmarks.conversation import obey
from benchmarks.faults.clients.crowd import Crowd


async def _run() -> None:
    crowd = Crowd()
    await obey(
        {
            "join": crowd.join,
            "begin": crowd.begin,
            "mended": crowd.mended,
            "is_well": crowd.is_well,
            "collect": crowd.collect,
        }
    )


if __name__ == "__main__":
    asyncio.run(_run())
