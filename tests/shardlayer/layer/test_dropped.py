"""Layers that are dropped and loops that are closed without a word, as other people's tests do it.

Nothing stays open, and Python has nothing to complain of: each program runs in a process of its own
in which every warning is written down, and what it wrote is all that counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.embedded import EmbeddedValkey
from tests.waiting import PATIENCE

BEGINNING = """
import asyncio, gc, sys, threading, time
from redis import Redis
from shardlayer.layer import ShardedChannelLayer

where = ""  # the layer's address

async def talk(layer):
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    await layer.group_send("g", {"type": "x"})
    assert await layer.receive(channel) == {"type": "x"}
    await layer.publish("room", b"1")

def clients():
    if where.startswith("memory"):
        return set()
    with Redis.from_url(where) as redis:
        listed = redis.client_list()
    return {client["id"] for client in listed if client["name"] == "shardlayer"}

others = clients()  # of the tests before this one, whose layers live on in their process

def connections():
    return len(clients() - others)

def until_closed():
    deadline = time.monotonic() + 60
    while connections():
        assert time.monotonic() < deadline, connections()
        time.sleep(0.01)
"""
WAYS = {
    "a loop is closed": """
for _ in range(5):
    layer = ShardedChannelLayer(hosts=[where])
    loop = asyncio.new_event_loop()
    loop.run_until_complete(talk(layer))
    loop.close()
    gc.collect()
    until_closed()
""",
    "one layer in loops that are closed": """
layer = ShardedChannelLayer(hosts=[where])
for _ in range(5):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(talk(layer))
    loop.close()
    gc.collect()
    until_closed()
assert layer.stats() == {}
""",
    "a loop is closed with two layers": """
loop = asyncio.new_event_loop()
layers = [ShardedChannelLayer(hosts=[where]) for _ in range(2)]
for layer in layers:
    loop.run_until_complete(talk(layer))
loop.close()
until_closed()
""",
    "a loop is closed by a coroutine of another": """
loop = asyncio.new_event_loop()
layer = ShardedChannelLayer(hosts=[where])
loop.run_until_complete(talk(layer))
async def close():
    loop.close()
asyncio.run(close())
until_closed()
""",
    "layers are dropped in a loop": """
async def main():
    for _ in range(5):
        layer = ShardedChannelLayer(hosts=[where])
        await talk(layer)
        del layer
        gc.collect()
        async with asyncio.timeout(60):
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.001)
        assert not connections()
asyncio.run(main())
""",
    "a layer is dropped and its loop closed": """
loop = asyncio.new_event_loop()
layer = ShardedChannelLayer(hosts=[where])
loop.run_until_complete(talk(layer))
del layer
gc.collect()
loop.close()
until_closed()
""",
    "a layer is dropped and its loop goes on later": """
loop = asyncio.new_event_loop()
layer = ShardedChannelLayer(hosts=[where])
loop.run_until_complete(talk(layer))
del layer
gc.collect()
loop.run_until_complete(asyncio.to_thread(until_closed))
loop.close()
""",
    "a layer is dropped by another thread": """
async def main():
    held = [ShardedChannelLayer(hosts=[where])]
    await talk(held[0])
    await asyncio.to_thread(held.clear)
    await asyncio.to_thread(gc.collect)
    await asyncio.to_thread(until_closed)
asyncio.run(main())
""",
    "the settings change": """
from channels.layers import get_channel_layer
from django.conf import settings
settings.configured or settings.configure()
from django.test import override_settings
def layers(number):
    config = {"hosts": [where], "capacity": number}
    backend = "shardlayer.layer.ShardedChannelLayer"
    return {"default": {"BACKEND": backend, "CONFIG": config}}
async def main():
    for number in range(1, 6):
        with override_settings(CHANNEL_LAYERS=layers(number)):
            layer = get_channel_layer()
            assert layer.capacity == number
            await talk(layer)
    del layer
asyncio.run(main())
""",
    "the loop was closed while Redis was asked": """
for turns in range(30):
    layer = ShardedChannelLayer(hosts=[where])
    loop = asyncio.new_event_loop()
    async def some_turns():
        task = asyncio.create_task(talk(layer))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    loop.run_until_complete(some_turns())
    loop.close()
gc.collect()
until_closed()
""",
}


def run(server: EmbeddedValkey, *parts: str) -> None:
    """Run a program to its end; it must have nothing to say."""
    beginning = BEGINNING.replace('""', repr(server.url), 1)
    command = [sys.executable, "-W", "always", "-c", "".join((beginning, *parts))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.stderr == ""
    assert ended.returncode == 0


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_left(redis_server: EmbeddedValkey, way: str) -> None:
    """No connection, no pending task, no open transport, no warning; in memory the same."""
    run(redis_server, WAYS[way], 'where = "memory://"\n', WAYS[way], "gc.collect()\n")


@pytest.mark.parametrize(
    "layer", ["shardlayer.layer.ShardedChannelLayer", "channels_redis.core.RedisChannelLayer"]
)
def test_pytest_finds_nothing_to_complain_of(redis_server: EmbeddedValkey, layer: str) -> None:
    """With every warning an error, what no test can raise among them; as beside channels_redis."""
    command = [
        *(sys.executable, "-m", "pytest", "-c", os.devnull, "-o", "asyncio_mode=auto"),
        *("-p", "no:cacheprovider", "-p", "no:django"),
        *("-W", "error", "-W", "error::pytest.PytestUnraisableExceptionWarning"),
        str(Path(__file__).with_name("dropping_tests.py")),
    ]
    environment = {**os.environ, "LAYER": layer, "REDIS_URL": redis_server.url}
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, env=environment
    )
    assert ended.returncode == 0, ended.stdout
    assert "3 passed" in ended.stdout


def test_loop_that_is_closed_in_a_forked_child_is_its_parents(redis_server: EmbeddedValkey) -> None:
    """The child closes its copy and says nothing over the parent's connections."""
    program = """
import os, warnings
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
layer = ShardedChannelLayer(hosts=[where])
loop = asyncio.new_event_loop()
channel = loop.run_until_complete(layer.new_channel())
if os.fork() == 0:
    loop.close()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
assert connections() == 2
loop.run_until_complete(layer.send(channel, {"type": "x"}))
assert loop.run_until_complete(layer.receive(channel)) == {"type": "x"}
loop.close()
until_closed()
"""
    run(redis_server, program)
