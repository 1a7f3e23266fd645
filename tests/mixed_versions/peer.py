"""One process with a layer, of this release or of the one before; PYTHONPATH says which.

It does the commands that come by lines of JSON, and answers each with one line, in order. It uses
nothing but the public API that both releases have, and nothing of tests/.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import shardlayer
from shardlayer import Broadcast, Position, ShardedChannelLayer

PATIENCE = 60.0  # seconds that something which should come may take


class Member:
    """Somebody in a room: remembers what is written."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def write(self, broadcast: Broadcast) -> None:
        for text in broadcast.texts:
            self.heard.put_nowait(text)

    def close(self, code: int, reason: str = "") -> None:
        self.heard.put_nowait(b'{"closed":%d}' % code)


class Peer:
    """The layer, and the members that it has."""

    def __init__(self, url: str) -> None:
        self.layer = ShardedChannelLayer(hosts=[url], lease_ttl=5)
        self.members: dict[str, Member] = {}

    async def which(self) -> str:
        """Return where the package is."""
        return str(Path(shardlayer.__file__).parent)

    async def join(self, room: str, offset: int = 0, epoch: str = "") -> Any:
        """Enter a room, from a position on if one is given; return what the reply has."""
        member = self.members[room] = Member()
        node = await self.layer.node()
        since = Position(offset, epoch) if epoch else None
        joined = await node.join(room, member, since)
        joined.release()
        missed = [json.loads(bytes(publication.data)) for publication in joined.publications]
        return {"position": joined.position, "recovered": joined.recovered, "missed": missed}

    async def leave(self, room: str) -> None:
        """Leave it."""
        (await self.layer.node()).leave(room, self.members.pop(room))

    async def publish(self, room: str, data: Any, key: str = "") -> Any:
        """Publish, under an idempotency key if one is given; return the position."""
        more = {"idempotency_key": key} if key else {}
        return await self.layer.publish(room, json.dumps(data).encode(), **more)

    async def hear(self, room: str, count: int) -> list[Any]:
        """Return the next pushes to the member of a room."""
        heard = self.members[room].heard
        return [json.loads(await asyncio.wait_for(heard.get(), PATIENCE)) for _ in range(count)]

    async def channel(self) -> str:
        """Return a new channel of this process."""
        return str(await self.layer.new_channel())

    async def add(self, group: str, channel: str) -> None:
        """Make a channel, of whichever process, a member of a group."""
        await self.layer.group_add(group, channel)

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Send to one channel, of whichever process."""
        await self.layer.send(channel, message)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send to a group."""
        await self.layer.group_send(group, message)

    async def receive(self, channel: str) -> Any:
        """Return the next message of a channel."""
        return await asyncio.wait_for(self.layer.receive(channel), PATIENCE)

    async def announce(self, data: Any) -> None:
        """Tell everybody."""
        await self.layer.announce(json.dumps(data).encode())

    async def attend(self, name: str) -> None:
        """Have somebody hear announcements."""
        member = self.members[name] = Member()
        (await self.layer.node()).attend(member)

    async def come(self, room: str, person: str) -> Any:
        """Have somebody known to be in a room; return who is. Only this release can."""
        from shardlayer import Attendee

        node = await self.layer.node()
        node.presence.come(Attendee(room=room, person=person, connection="1", info=b"null"))
        page = await self.layer.presence(room)
        return [found.name for found in page.persons]

    async def has_heard(self, name: str) -> int:
        """Return how many pushes wait for a member."""
        return self.members[name].heard.qsize()

    async def stats(self) -> Any:
        """Return what the layer counts."""
        return self.layer.stats()

    async def close(self) -> None:
        """Give back all leases."""
        await self.layer.close()


async def serve(url: str) -> None:
    """Do what is asked until the input ends."""
    peer = Peer(url)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, arguments = json.loads(line)
        try:
            answer: dict[str, Any] = {"result": await getattr(peer, name)(**arguments)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
