"""`python -m benchmarks.admin.crowd ROOMS`: a process with a member in each of so many rooms.

It publishes once to each, says `ready`, and stays until its input ends.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

import django

from shardlayer import ShardUnavailable

AT_ONCE = 200  # rooms
TRIES = 10


class Nobody:
    """A member who reads nothing."""

    def write(self, broadcast: object) -> None:
        """Take what comes."""

    def close(self, code: int, reason: str = "") -> None:
        """Nobody closes it."""


async def main(rooms: int) -> None:
    """Fill the rooms, and stay."""
    from realtime.sharded_layer import sharded_layer

    layer = sharded_layer()
    node, sink = await layer.node(), Nobody()

    async def fill(number: int) -> None:
        for _ in range(TRIES):
            with suppress(ShardUnavailable):  # a busy machine; nothing of this is measured
                (await node.join(f"room.{number:06}", sink)).release()
                await layer.publish(f"room.{number:06}", b'{"number": 1}')
                return
        raise SystemExit(f"room.{number:06} could not be filled.")

    for begin in range(0, rooms, AT_ONCE):
        await asyncio.gather(*(fill(each) for each in range(begin, min(rooms, begin + AT_ONCE))))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    django.setup()
    asyncio.run(main(int(sys.argv[1])))
