"""Nodes that freeze or die, as processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from demo.embedded import EmbeddedValkey
from shardlayer.layer import ShardedChannelLayer
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

ROOM = "general"
LEASE = 1.0  # seconds


class Member:
    """A process with a member of the room.

    Attributes:
        node: Its node's id.
    """

    def __init__(self, process: Process) -> None:
        self.node = ""
        self._process = process

    async def line(self) -> str:
        """Return the next line that it prints."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return (await self._process.stdout.readline()).decode().strip()

    async def data(self, count: int) -> list[object]:
        """Return what the next messages carry; "reset" for a reset."""
        pushes = [json.loads(await self.line()) for _ in range(count)]
        return [push.get("data", "reset") for push in pushes]

    def signal(self, number: int) -> None:
        os.kill(self._process.pid, number)


@pytest.fixture
async def start_member(
    redis_server: EmbeddedValkey,
) -> AsyncIterator[Callable[[], Awaitable[Member]]]:
    """Starts processes with a member, and kills them after the test."""
    processes: list[Process] = []

    async def start() -> Member:
        config = json.dumps(config_of(redis_server))
        command = (sys.executable, "-m", "tests.faults.member", ROOM, config)
        processes.append(await asyncio.create_subprocess_exec(*command, stdout=PIPE))
        member = Member(processes[-1])
        member.node = await member.line()
        assert "joined" in json.loads(await member.line())
        return member

    yield start
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
async def layer(redis_server: EmbeddedValkey) -> AsyncIterator[ShardedChannelLayer]:
    """The publisher's, in this process."""
    made = ShardedChannelLayer(**config_of(redis_server))
    yield made
    await made.close()


def config_of(server: EmbeddedValkey) -> dict[str, Any]:
    history = {"*": {"size": 100_000, "ttl": 60}}
    return {"hosts": [server.url], "lease_ttl": LEASE, "history": history}


async def targets(layer: ShardedChannelLayer) -> None:
    """Return once the registry is trusted: what is published goes to just the interested nodes."""

    async def targeted() -> bool:
        before = layer.stats()["targeted"]
        await layer.publish("elsewhere", b"0")
        await layer.publish(ROOM, b"0")
        return layer.stats()["targeted"] >= before + 2

    await until(targeted, within=PATIENCE)


async def forgets(layer: ShardedChannelLayer, member: Member) -> list[int]:
    """Publish until the registry has forgotten a node; return what was published."""
    numbers: list[int] = []

    async def forgotten() -> bool:
        numbers.append(len(numbers) + 1)
        await layer.publish(ROOM, b"%d" % numbers[-1])
        return member.node not in (await layer.room_info(ROOM)).nodes

    await until(forgotten, within=PATIENCE)
    return numbers


async def skip_zeros(member: Member) -> object:
    while (data := (await member.data(1))[0]) == 0:
        pass
    return data


async def test_node_that_froze_reads_what_it_missed_first(
    layer: ShardedChannelLayer, start_member: Callable[[], Awaitable[Member]]
) -> None:
    """Stopped for longer than its lease it is forgotten; going on it misses and repeats nothing."""
    witness, frozen = await start_member(), await start_member()
    await targets(layer)
    frozen.signal(signal.SIGSTOP)
    missed = await forgets(layer, frozen)
    # These are published while nobody would tell it.
    after = [len(missed) + 1, len(missed) + 2]
    await layer.publish_many([(ROOM, b"%d" % number) for number in after])
    frozen.signal(signal.SIGCONT)
    last = after[-1] + 1
    await layer.publish(ROOM, b"%d" % last)
    expected = [*missed, *after, last]
    for member in (frozen, witness):
        first = await skip_zeros(member)
        assert [first, *await member.data(len(expected) - 1)] == expected

    async def registered() -> bool:
        return frozen.node in (await layer.room_info(ROOM)).nodes

    await until(registered)


async def test_quiet_room_of_a_node_that_froze(
    layer: ShardedChannelLayer, start_member: Callable[[], Awaitable[Member]]
) -> None:
    """Nothing is published after it goes on, and yet it reads what it missed."""
    frozen = await start_member()
    other = await start_member()  # without a node that is alive all would be told
    await targets(layer)
    frozen.signal(signal.SIGSTOP)
    missed = await forgets(layer, frozen)
    await layer.publish(ROOM, b"1000")
    frozen.signal(signal.SIGCONT)
    assert [await skip_zeros(frozen), *await frozen.data(len(missed))] == [*missed, 1000]
    assert await skip_zeros(other) == 1


async def test_node_that_died_is_forgotten(
    layer: ShardedChannelLayer, start_member: Callable[[], Awaitable[Member]]
) -> None:
    """Nobody took it out of the registry; publishing does, once its lease has ended."""
    dead, alive = await start_member(), await start_member()
    await targets(layer)
    dead.signal(signal.SIGKILL)
    published = await forgets(layer, dead)

    async def only_alive() -> bool:  # its own lease may have ended, too, until it is renewed
        return set((await layer.room_info(ROOM)).nodes) == {alive.node}

    await until(only_alive)
    assert [await skip_zeros(alive), *await alive.data(len(published) - 1)] == published
