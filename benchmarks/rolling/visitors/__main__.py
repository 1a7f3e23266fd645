"""The visitors' process: `python -m benchmarks.rolling.visitors`, told what to do."""

from __future__ import annotations

import asyncio

from benchmarks.conversation import obey
from benchmarks.rolling.visitors.house import House


async def _run() -> None:
    house = House()
    names = ("join", "begin", "settle", "collect")
    await obey({name: getattr(house, name) for name in names})


if __name__ == "__main__":
    asyncio.run(_run())
