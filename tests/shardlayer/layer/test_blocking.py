"""Sending from threads that run no event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from channels.exceptions import ChannelFull

from demo.embedded import EmbeddedValkey, free_port
from shardlayer.core.exceptions import MessageTooLarge, ShardUnavailable
from shardlayer.layer import ShardedChannelLayer
from tests.waiting import PATIENCE

THREADS = 16
CALLS = 50  # of each thread


@pytest.fixture
def layer(redis_server: EmbeddedValkey) -> Iterator[ShardedChannelLayer]:
    """A layer whose background thread has ended after the test."""
    made = ShardedChannelLayer(hosts=[redis_server.url], capacity=2)
    yield made
    asyncio.run(made.close())


async def _history(layer: ShardedChannelLayer, room: str) -> list[bytes]:
    return [publication.data for publication in await layer.history(room)]


def test_each_method_does_what_its_namesake_does(layer: ShardedChannelLayer) -> None:
    """Messages and publications arrive, positions are returned, errors are raised."""
    layer.send_sync("tasks", {"type": "x", "number": 1})
    asyncio.run(layer.group_add("g", "tasks"))
    layer.group_send_sync("g", {"type": "x", "number": 2})
    with pytest.raises(ChannelFull):
        layer.send_sync("tasks", {"type": "x"})

    async def receive() -> list[int]:
        return [(await layer.receive("tasks"))["number"] for _ in range(2)]

    assert asyncio.run(receive()) == [1, 2]
    first = layer.publish_sync("room", b"1", idempotency_key="a")
    assert layer.publish_sync("room", b"2", idempotency_key="a") == first
    second, third = layer.publish_many_sync([("room", b"3"), ("room", b"4")])
    assert [position and position.offset for position in (first, second, third)] == [1, 2, 3]
    assert asyncio.run(_history(layer, "room")) == [b"1", b"3", b"4"]
    layer.announce_sync(b"5")
    with pytest.raises(TypeError):
        layer.publish_sync("no room!", b"")
    with pytest.raises(MessageTooLarge):
        layer.publish_sync("room", b"x" * 2_000_000)


def test_unreachable_redis_is_told() -> None:
    """ShardUnavailable within `publish_timeout`, as for those who await."""
    layer = ShardedChannelLayer(hosts=[f"redis://127.0.0.1:{free_port()}"], publish_timeout=0.2)
    with pytest.raises(ShardUnavailable):
        layer.publish_sync("room", b"1")
    asyncio.run(layer.close())


async def test_running_event_loop_is_not_held_up(layer: ShardedChannelLayer) -> None:
    """A call in a thread with a running loop is refused before anything is sent."""
    with pytest.raises(RuntimeError, match="await the method without _sync"):
        layer.publish_sync("room", b"1")
    await asyncio.to_thread(layer.publish_sync, "room", b"2")
    assert await _history(layer, "room") == [b"2"]


def test_threads_keep_their_order(layer: ShardedChannelLayer) -> None:
    """What each of many threads publishes arrives once and as it published it."""
    # Layers of other tests may have threads of their own, and end them in their own time.
    before = set(threading.enumerate())

    def publish(thread: int) -> None:
        for number in range(CALLS):
            layer.publish_sync(f"room.{thread}", b"%d" % number)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(publish, range(THREADS)))
    for thread in range(THREADS):
        expected = [b"%d" % number for number in range(CALLS)]
        assert asyncio.run(_history(layer, f"room.{thread}")) == expected
    new = [thread.name for thread in set(threading.enumerate()) - before]
    assert new.count("shardlayer") == 1, "one background thread for all callers"


def test_forked_child_has_connections_of_its_own(layer: ShardedChannelLayer) -> None:
    """Parent and child publish on after a fork, each in its own background thread."""
    layer.publish_sync("room", b"1")
    child = os.fork()
    if not child:
        code = 1
        try:
            layer.publish_sync("room", b"2")
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    layer.publish_sync("room", b"3")
    assert asyncio.run(_history(layer, "room")) == [b"1", b"2", b"3"]


# Waits for a Redis that is not there until it is interrupted, and then says what is left.
WAITS = """
import asyncio, sys, threading
from shardlayer.layer import ShardedChannelLayer

layer = ShardedChannelLayer(hosts=[sys.argv[1]], publish_timeout=60)
try:
    print("calls", flush=True)
    layer.publish_sync("room", b"1")
except KeyboardInterrupt:
    asyncio.run(layer.close())
    print("interrupted", flush=True)
"""


def test_interrupted_caller_cancels_its_call() -> None:
    """Control-C ends a call that waits for Redis; nothing tries on: the layer closes at once."""
    address = f"redis://127.0.0.1:{free_port()}"
    command = [sys.executable, "-c", WAITS, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "calls\n"
        time.sleep(0.3)  # it waits by now, most likely; whenever it comes the outcome is the same
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "interrupted\n"
        assert process.wait(PATIENCE) == 0
