"""The layer on Redis does what the layer in memory does, whatever happens in whatever order.

Two worlds of two processes each go through the same random history: messages, groups, cancelled
receives, flushes and time that passes. After each step both have answered alike. Time is the event
loop's, which both worlds share and which is put forward; Redis, whose clock can't be, has what it
keeps made older instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from channels.exceptions import ChannelFull
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.broker.memory import store
from shardlayer.broker.redis.calls import EXPIRES_BYTES
from shardlayer.broker.redis.keys import CHANNEL_MARK
from shardlayer.layer import ShardedChannelLayer
from tests.shardlayer.fakes import some_turns
from tests.stateful import run_machine
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

EXAMPLES, STEPS = 40, 40
CAPACITY = 3  # messages
EXPIRY = 30.0  # seconds
GROUP_EXPIRY = 92.0  # seconds; no sum of the steps below is within 8 s of it

PROCESSES = st.sampled_from([0, 1])
CHANNELS = st.sampled_from(["first", "second", "normal"])  # of a process, or of none
GROUPS = st.sampled_from(["g", "h"])
TURNS = st.integers(0, 8)
MOSTLY = st.sampled_from([True, True, True, False])


class AdvancingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time can be put forward."""

    ahead = 0.0  # seconds

    def time(self) -> float:
        return super().time() + self.ahead


class World:
    """Two processes' layers on one place, and the channels that they made."""

    def __init__(self, url: str) -> None:
        config: dict[str, Any] = {
            "hosts": [url],
            "capacity": CAPACITY,
            "expiry": EXPIRY,
            "group_expiry": GROUP_EXPIRY,
            "lease_ttl": 1e6,
        }
        self.layers = [ShardedChannelLayer(**config) for _ in range(2)]
        self._names: dict[str, str] = {}
        self._echoes: list[str] = []

    async def start(self) -> None:
        for alias, layer in zip(("first", "second"), self.layers, strict=True):
            self._names[alias] = await layer.new_channel()
        self._echoes = [await layer.new_channel() for layer in self.layers]
        for layer, echo in zip(self.layers, self._echoes, strict=True):
            await layer.group_add("echoes", echo)

    async def close(self) -> None:
        for layer in self.layers:
            await layer.close()

    def name(self, channel: str) -> str:
        return self._names.get(channel, channel)

    def receiver(self, channel: str, process: int) -> ShardedChannelLayer:
        """Return the layer that may receive a channel: a normal one both."""
        return self.layers[{"first": 0, "second": 1}.get(channel, process)]

    async def settle(self) -> None:
        """Return once both processes have heard all that was published."""
        for layer, echo in zip(self.layers, self._echoes, strict=True):
            await layer.group_add("echoes", echo)  # which a flush or time may have ended
            await layer.group_send("echoes", {"type": "echo"})
        for layer, echo in zip(self.layers, self._echoes, strict=True):
            node = await layer.node()
            async with asyncio.timeout(PATIENCE):
                await layer.receive(echo)
                while not node.mailboxes.open(echo).is_empty:
                    await layer.receive(echo)
                while not node.mailboxes.is_told:  # noqa: ASYNC110 (nobody tells)
                    await asyncio.sleep(0)

    async def send(self, process: int, channel: str, content: int) -> bool:
        try:
            await self.layers[process].send(self.name(channel), {"content": content})
        except ChannelFull:
            return False
        return True

    async def receive(self, process: int, channel: str, turns: int | None) -> object:
        """Return the next message, or None if there is none.

        A first receive is cancelled after so many turns of the loop, if it has nothing by then.
        """
        if turns is not None:
            receiving = self._receiving(process, channel)
            for _ in range(turns):
                await asyncio.sleep(0)
            receiving.cancel()
            with suppress(asyncio.CancelledError):
                return (await receiving)["content"]
        node = await self.receiver(channel, process).node()
        receiving = self._receiving(process, channel)
        mailbox = node.mailboxes.open(self.name(channel))
        async with asyncio.timeout(PATIENCE):
            while not (receiving.done() or mailbox.is_awaited):  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0)
        receiving.cancel()
        with suppress(asyncio.CancelledError):
            return (await receiving)["content"]
        return None

    def _receiving(self, process: int, channel: str) -> asyncio.Task[dict[str, Any]]:
        layer = self.receiver(channel, process)
        return asyncio.create_task(layer.receive(self.name(channel)))


class RedisWorld(World):
    """A world on a Redis server, whose clock goes its own way."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._redis: Any = Redis.from_url(url)
        self._redis.flushall()

    async def close(self) -> None:
        await super().close()
        self._redis.close()

    def grow_older(self, seconds: float) -> None:
        """Bring what is kept nearer to its end, as if time had passed."""
        less = int(seconds * 1_000)
        for key in self._redis.scan_iter("*:queue:*"):
            for index, element in enumerate(self._redis.lrange(key, 0, -1)):
                ends = int.from_bytes(element[:EXPIRES_BYTES], "big") - less
                older = ends.to_bytes(EXPIRES_BYTES, "big") + element[EXPIRES_BYTES:]
                self._redis.lset(key, index, older)
        for key in self._redis.scan_iter("*:held:*"):
            self._redis.pexpire(key, max(self._redis.pttl(key) - less, 1))
        for key in self._redis.scan_iter("*:nodes:*"):
            for field, ends in self._redis.hgetall(key).items():
                if field.startswith(CHANNEL_MARK.encode()):
                    self._redis.hset(key, field, int(ends) - less)


class TwoWorlds(RuleBasedStateMachine):
    """The same steps in memory and on Redis."""

    url: str  # of the Redis server

    def __init__(self) -> None:
        super().__init__()
        self.loop = AdvancingLoop()
        self.runner = asyncio.Runner(loop_factory=lambda: self.loop)
        self.sent = 0

    @initialize()
    def begin(self) -> None:
        address = f"memory://{uuid4().hex}"
        store.server(address).clock = lambda: self.loop.time()
        self.redis = RedisWorld(self.url)
        self.worlds = [World(address), self.redis]
        for world in self.worlds:
            self.runner.run(world.start())

    def teardown(self) -> None:
        for world in getattr(self, "worlds", ()):
            self.runner.run(world.close())
        self.runner.close()

    def both(self, step: Callable[[World], Awaitable[object]]) -> None:
        """Do a step in both worlds, which answer alike and have missed as much."""

        async def settled(world: World) -> tuple[object, list[int]]:
            result = await step(world)
            await world.settle()
            return result, [layer.stats().get("missed_messages", 0) for layer in world.layers]

        in_memory, on_redis = [self.runner.run(settled(world)) for world in self.worlds]
        assert on_redis == in_memory

    @rule(process=PROCESSES, channel=CHANNELS, count=st.integers(1, CAPACITY + 1))
    def send(self, process: int, channel: str, count: int) -> None:
        for _ in range(count):
            self.sent += 1
            self.both(lambda world: world.send(process, channel, self.sent))

    @rule(process=PROCESSES, channel=CHANNELS, turns=st.none() | TURNS)
    def receive(self, process: int, channel: str, turns: int | None) -> None:
        self.both(lambda world: world.receive(process, channel, turns))

    @rule(process=PROCESSES, group=GROUPS, channel=CHANNELS, joins=MOSTLY)
    def join_or_leave(self, process: int, group: str, channel: str, joins: bool) -> None:
        def step(world: World) -> Awaitable[None]:
            layer = world.layers[process]
            change = layer.group_add if joins else layer.group_discard
            return change(group, world.name(channel))

        self.both(step)

    @rule(process=PROCESSES, group=GROUPS)
    def group_send(self, process: int, group: str) -> None:
        self.sent += 1
        self.both(lambda world: world.layers[process].group_send(group, {"content": self.sent}))

    @rule(seconds=st.sampled_from([0.7 * EXPIRY, 1.2 * EXPIRY, 1.2 * GROUP_EXPIRY]), keeps=MOSTLY)
    def time_passes(self, seconds: float, keeps: bool) -> None:
        if not keeps:
            self.both(lambda world: world.layers[0].flush())
        self.redis.grow_older(seconds)
        self.loop.ahead += seconds
        # What is due by now, as to forget a stale mailbox, is done in both worlds before they go
        # on. Else a step in the first gives the second one's timers a start.
        self.runner.run(some_turns())


def test_redis_does_what_memory_does(redis_server: EmbeddedValkey) -> None:
    """40 histories of 40 steps each."""

    class Machine(TwoWorlds):
        url = redis_server.url

    run_machine(Machine, examples=EXAMPLES, steps=STEPS)
