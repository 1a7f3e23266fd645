"""A process with one member of a room: prints each message that the member gets, a line each.

python -m tests.faults.member ROOM CONFIG, the latter the layer's `CONFIG` as JSON. Its first line
is its node's id, its second says where it joined.
"""

from __future__ import annotations

import asyncio
import json
import sys

from shardlayer.core.frames import Broadcast
from shardlayer.layer import ShardedChannelLayer


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class PrintingSink:
    """Prints what is written to it."""

    def write(self, broadcast: Broadcast) -> None:
        for text in broadcast.texts:
            say(text.decode())

    def close(self, code: int, reason: str = "") -> None:
        say(json.dumps({"closed": code}))


async def run(room: str, config: dict[str, object]) -> None:
    """Join a room and stay."""
    layer = ShardedChannelLayer(**config)
    node = await layer.node()
    joined = await node.join(room, PrintingSink())
    say(node.id)
    say(json.dumps({"joined": joined.position and joined.position.offset}))
    joined.release()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], json.loads(sys.argv[2])))
