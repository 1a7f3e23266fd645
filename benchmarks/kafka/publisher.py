"""Publishes to many rooms: a file that runs in any checkout of this project.

`python -P publisher.py ROOMS`, in the checkout, which PYTHONPATH names: what it imports is there in
old ones too.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from typing import Any

import django
from channels.layers import get_channel_layer

from benchmarks.conversation import Instructions
from benchmarks.stamps import stamped


async def _publish(
    layer: Any, *, rooms: int, first: int, count: int, rate: float, each: int, size: int
) -> dict[str, Any]:
    """Publish `count` messages, `each` with a call, `rate` a second, to the rooms in turn."""
    begun = time.monotonic()
    late = 0.0
    took = []  # nanoseconds of each call
    for start in range(0, count, each):
        due = begun + start / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        late = max(late, time.monotonic() - due)
        now = time.monotonic_ns()
        messages = [
            (f"room-{number % rooms}", stamped(first + number // rooms, now, size))
            for number in range(start, min(start + each, count))
        ]
        if each == 1:
            await layer.publish(*messages[0])
        else:
            await layer.publish_many(messages)
        took.append(time.monotonic_ns() - now)
    return {"published": count, "late_ms": late * 1e3, "p50_ms": statistics.median(took) / 1e6}


async def _run(rooms: int) -> None:
    django.setup()
    layer: Any = get_channel_layer()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        Instructions.answer(await _publish(layer, rooms=rooms, **asked["with"]))
    await layer.close()


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1])))
