"""What is documented to be called from any thread, while the event loops are at work."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from shardlayer.core.frames import Broadcast
from shardlayer.layer import ShardedChannelLayer, engines
from tests.waiting import PATIENCE

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


def test_threads_that_find_themselves_in_a_forked_child_share_what_it_gets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both see another process, both make its part anew, and one of these counts."""
    layer = ShardedChannelLayer(hosts=[f"memory://{uuid4().hex}"])
    layer.publish_sync("room", b"1")
    asyncio.run(layer.close())
    both = threading.Barrier(2)

    class Slow(engines._Process):
        def __init__(self) -> None:
            super().__init__()
            both.wait(PATIENCE)

    child = os.getpid() + 1
    monkeypatch.setattr(engines, "_Process", Slow)
    monkeypatch.setattr("shardlayer.layer.engines.os.getpid", lambda: child)
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(lambda: layer._engines._process) for _ in range(2)]
        first, second = (each.result(PATIENCE) for each in found)
    assert first is second
    assert set(layer._engines._processes) == {child}


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


async def test_asyncio_keeps_who_runs_a_loop_where_it_was_read() -> None:
    """`_thread_id`, in Python 3.11 to 3.13: the running thread's, and None when none runs it."""
    loop = asyncio.get_running_loop()
    assert vars(loop).get("_thread_id") == threading.get_ident()
    other = asyncio.new_event_loop()
    assert vars(other)["_thread_id"] is None
    other.close()
