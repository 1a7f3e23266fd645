"""People come and go while the server is restarted, emptied, stopped, and connections are cut.

However it went: once it is over, everybody is seen who is there, and nobody else; and each room was
found occupied and vacated in turns.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.broker.presence_values import Attendee
from shardlayer.layer import ShardedChannelLayer
from shardlayer.layer.node import Node
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until

pytestmark = pytest.mark.slow

ROOMS = [f"room-{number}" for number in range(6)]
PERSONS = [f"p{number}" for number in range(8)]
STEPS = 150
PAUSE = 0.02  # seconds between two steps
LEASE = 2.0  # seconds


class Crowd:
    """Who is in which rooms at one node, as it should be."""

    def __init__(self, node: Node, chance: Random) -> None:
        self.there: set[Attendee] = set()
        self._node = node
        self._chance = chance
        self._next = 0

    async def begin(self) -> None:
        for room in ROOMS:
            (await self._node.join(room, RecordingSink())).release()

    def step(self) -> None:
        """Have somebody come, or go."""
        if self.there and self._chance.random() < 0.45:
            attendee = self._chance.choice(sorted(self.there))
            self.there.remove(attendee)
            self._node.presence.go(attendee)
            return
        self._next += 1
        room, person = self._chance.choice(ROOMS), self._chance.choice(PERSONS)
        attendee = Attendee(room, person, f"{self._next:x}", b"{}")
        self.there.add(attendee)
        self._node.presence.come(attendee)


async def stop_for_a_while(server: EmbeddedValkey, seconds: float) -> None:
    """Have the server stand still (SIGSTOP)."""
    assert server._process is not None
    server._process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    server._process.send_signal(signal.SIGCONT)


def cut(server: EmbeddedValkey) -> None:
    """End all connections."""
    with Redis.from_url(server.url) as redis:
        redis.execute_command("CLIENT", "KILL", "TYPE", "normal")
        redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


@pytest.mark.parametrize(
    ("fault", "persistent"),
    [("cut", False), ("empty", False), ("kill", True), ("kill", False), ("stop", False)],
)
async def test_everybody_is_seen_who_is_there(tmp_path: Path, fault: str, persistent: bool) -> None:
    """On both nodes the same, exactly."""
    chance = Random(f"{fault} {persistent}")
    with EmbeddedValkey(directory=tmp_path / "valkey", persistent=persistent) as server:
        layers = [
            ShardedChannelLayer(hosts=[server.url], lease_ttl=LEASE, presence_delay=0.01)
            for _ in range(2)
        ]
        turns: list[tuple[str, bool]] = []
        for layer in layers:
            layer.room_watchers.add(lambda room, is_in: turns.append((room, is_in)))
        crowds = [Crowd(await layer.node(), chance) for layer in layers]
        for crowd in crowds:
            await crowd.begin()
        for step in range(STEPS):
            chance.choice(crowds).step()
            await asyncio.sleep(PAUSE)
            if step % 50 == 25:
                match fault:
                    case "cut":
                        cut(server)
                    case "empty":
                        server.flush()
                    case "kill":
                        server.kill()
                        await asyncio.sleep(0.3)
                        await asyncio.to_thread(server.start)
                    case "stop":
                        await stop_for_a_while(server, LEASE + 0.5)
        expected = {
            room: Counter(
                each.person for crowd in crowds for each in crowd.there if each.room == room
            )
            for room in ROOMS
        }

        async def is_right() -> bool:
            for layer in layers:
                for room in ROOMS:
                    page = await layer.presence(room, limit=100)
                    seen = {person.name: person.connections for person in page.persons}
                    if (seen, page.people) != (expected[room], len(expected[room])):
                        return False
            return True

        await until(is_right)
        if fault in ("cut", "stop"):  # else what was known before is lost, and with it who turned
            for room in ROOMS:
                own = [is_in for each, is_in in turns if each == room]
                assert own[::2] == [True] * len(own[::2])
                assert own[1::2] == [False] * len(own[1::2])
                assert (own[-1] if own else False) == bool(expected[room])
        for layer in layers:
            await layer.close()
        with Redis.from_url(server.url) as redis:
            left = [key for kind in ("here", "people") for key in redis.keys(f"*:{kind}:*")]
            assert left == []
