"""The publisher's process: `python -m benchmarks.publisher MODULE:CLASS ACKS`."""

from __future__ import annotations

import asyncio
import os
import sys

from benchmarks.conversation import Instructions
from benchmarks.emitter import Emitter
from benchmarks.publisher.pacing import one_by_one, steadily
from benchmarks.references import resolve


async def _publish(emitter: Emitter, acks: int) -> None:
    """Obey the benchmark's instructions until they end."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.StreamReader()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(arrived), os.fdopen(acks, "rb", buffering=0)
    )
    instructions = Instructions()
    readable = asyncio.Event()
    loop.add_reader(instructions.fileno(), readable.set)
    await emitter.open()
    while True:
        while not instructions.waiting:
            await readable.wait()
            readable.clear()
            instructions.read()
        asked = instructions.take()
        if asked is None:
            break
        if asked["do"] == "one_by_one":
            instructions.answer(await one_by_one(emitter, arrived, **asked["with"]))
        else:
            instructions.answer(await steadily(emitter, **asked["with"]))
    await emitter.close()


if __name__ == "__main__":
    asyncio.run(_publish(resolve(sys.argv[1])(), int(sys.argv[2])))
