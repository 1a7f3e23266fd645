"""A process whose loop is uvloop's: a member of a room that prints what it is told.

Started with the URL of its server. Publishes each line of its standard input to the room, and
prints `failed` and the error's class where that raises.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

from shardlayer.layer import ShardedChannelLayer
from tests.faults.member import PrintingSink, say

ROOM = "general"


async def main(url: str) -> None:
    """Join the room and publish to it until the input ends."""
    layer = ShardedChannelLayer(hosts=[url], publish_timeout=20.0)
    (await (await layer.node()).join(ROOM, PrintingSink())).release()
    say("joined")
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        try:
            await layer.publish(ROOM, line.encode())
        except Exception as error:
            say(f"failed {type(error).__name__}")
    await layer.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
