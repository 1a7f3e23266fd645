"""What is documented to be called from any thread, while the event loops are at work."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest

from shardlayer.frames import Broadcast
from shardlayer.layer import ShardedChannelLayer

PATIENCE = 30  # seconds
ROUNDS = 40
ROOMS = 300


class IdleSink:
    """A member that is never written to."""

    def write(self, broadcast: Broadcast) -> None:
        """Do nothing."""

    def close(self, code: int, reason: str = "") -> None:
        """Do nothing."""


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads change places a thousand times as often as they do by default."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_stats_from_another_thread() -> None:
    """Counted while rooms and channels come and go, and while loops begin and end."""
    layer = ShardedChannelLayer(hosts=[f"memory://{uuid4().hex}"])
    ended = threading.Event()
    failures: list[BaseException] = []
    looks = 0

    def look() -> None:
        nonlocal looks
        try:
            while not ended.is_set():
                assert layer.stats().get("members", 0) >= 0
                assert layer.failing_tasks == []
                looks += 1
        except BaseException as error:
            failures.append(error)

    async def come_and_go() -> None:
        node = await layer.node()
        sink = IdleSink()
        for number in range(ROUNDS):
            names = [f"room.{number}.{each}" for each in range(ROOMS)]
            await asyncio.gather(*(node.join(name, sink) for name in names))
            for name in names:
                node.leave(name, sink)
                hub = node._rooms.hub_of(name)
                hub.forget(hub.rooms[name])
            channel = await layer.new_channel()
            await layer.group_add(f"g{number}", channel)
            await asyncio.to_thread(asyncio.run, layer.new_channel())
            if failures:
                break
        await layer.close()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        asyncio.run(come_and_go())
    finally:
        ended.set()
        thread.join(PATIENCE)
    assert failures == []
    assert looks > ROUNDS
