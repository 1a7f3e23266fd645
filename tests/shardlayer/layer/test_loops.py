"""One layer in many event loops, threads and processes leaves nothing behind.

Programs run in processes of their own where what matters is how they end.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from asgiref.sync import async_to_sync
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.layer import ShardedChannelLayer
from tests.waiting import PATIENCE, wait_until

LOOPS = 1_000
LOOPS_PER_NODE = 10  # every so many loops one receives, too


@pytest.fixture
def layer(redis_server: EmbeddedValkey) -> Iterator[ShardedChannelLayer]:
    """A layer whose background thread has ended after the test."""
    made = ShardedChannelLayer(hosts=[redis_server.url])
    yield made
    async_to_sync(made.close)()


class Left(NamedTuple):
    """What a process has at one moment."""

    sockets: int
    threads: int
    tasks: int


def what_is_left() -> Left:
    gc.collect()
    descriptors = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
    targets = (os.readlink(path) for path in descriptors if os.path.lexists(path))
    return Left(
        sockets=sum(target.startswith("socket:") for target in targets),
        threads=threading.active_count(),
        tasks=sum(
            isinstance(thing, asyncio.Task) and not thing.done() for thing in gc.get_objects()
        ),
    )


def nothing_is_left_but(before: Left) -> bool:
    """Say whether there is no more than before; what other tests began may have ended since."""
    return all(now <= then for now, then in zip(what_is_left(), before, strict=True))


def connections(server: EmbeddedValkey) -> set[str]:
    """Return the ids of the connections that layers have to a server now."""
    with Redis.from_url(server.url) as redis:
        return {entry["id"] for entry in redis.client_list() if entry["name"] == "shardlayer"}


async def talk_to_oneself(layer: ShardedChannelLayer) -> None:
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    await layer.group_send("g", {"type": "x"})
    assert await layer.receive(channel) == {"type": "x"}
    await layer.group_discard("g", channel)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts sockets as Linux shows them")
def test_a_thousand_loops_leave_nothing(
    layer: ShardedChannelLayer, redis_server: EmbeddedValkey
) -> None:
    """A loop per call, as tests and views have: no socket, thread or task stays of any."""
    asyncio.run(layer.group_send("g", {"type": "x"}))  # starts the background thread
    before, before_connections = what_is_left(), connections(redis_server)
    for number in range(LOOPS):
        if number % LOOPS_PER_NODE:
            asyncio.run(layer.send(f"normal.{number}", {"type": "x"}))
        else:
            asyncio.run(talk_to_oneself(layer))
    # The background thread may still be at what it does by itself now and then.
    wait_until(lambda: nothing_is_left_but(before), what=f"{what_is_left()} is left, not {before}")
    assert connections(redis_server) == before_connections


def test_loop_that_says_so_sends_by_itself(
    layer: ShardedChannelLayer, redis_server: EmbeddedValkey
) -> None:
    """It needs no background thread, and leaves nothing when it closes the layer."""

    async def send() -> set[threading.Thread]:
        layer.use_running_loop()
        await layer.group_send("g", {"type": "x"})
        threads = set(threading.enumerate())
        await layer.close()
        return threads

    before, threads = what_is_left(), set(threading.enumerate())
    assert not [thread for thread in asyncio.run(send()) - threads if thread.name == "shardlayer"]
    wait_until(lambda: nothing_is_left_but(before), what=f"{what_is_left()} is left, not {before}")
    assert connections(redis_server) == set()


@pytest.mark.parametrize("ending", ["close", "cancelled close", "cancelled work", "end of loop"])
def test_loop_that_ends_at_any_moment_leaves_no_connection(
    redis_server: EmbeddedValkey, ending: str
) -> None:
    """Connections that are being made or closed when their loop ends are closed with it.

    One that is not says so in a ResourceWarning, which fails the test.
    """
    for moment in range(60):
        asyncio.run(_end(redis_server.url, ending, after=moment * 0.0002))
    gc.collect()


async def _end(url: str, ending: str, *, after: float) -> None:
    layer = ShardedChannelLayer(hosts=[url], shards=4)
    work = [asyncio.create_task(talk_to_oneself(layer)) for _ in range(3)]
    await asyncio.sleep(after)
    if ending == "close":
        await layer.close()
    elif ending == "cancelled close":
        closing = asyncio.create_task(layer.close())
        await asyncio.sleep(after / 2)
        closing.cancel()
    elif ending == "cancelled work":
        for task in work:
            task.cancel()


def test_threads_have_loops_of_their_own(layer: ShardedChannelLayer) -> None:
    """Eight threads each receive in a loop of their own what all others send there."""
    channels: list[str] = []
    all_there = threading.Barrier(8)

    async def serve() -> set[int]:
        channel = await layer.new_channel()
        await layer.group_add("everybody", channel)
        channels.append(channel)
        await asyncio.to_thread(all_there.wait, PATIENCE)
        number = channels.index(channel)
        await layer.group_send("everybody", {"type": "x", "from": number})
        for other in channels:
            await layer.send(other, {"type": "x", "from": 100 + number})
        received = {(await layer.receive(channel))["from"] for _ in range(16)}
        await asyncio.to_thread(all_there.wait, PATIENCE)  # nobody leaves before all have sent
        return received

    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(asyncio.run, serve()) for _ in range(8)]
        received = [result.result(PATIENCE) for result in results]
    assert received == [{*range(8), *range(100, 108)}] * 8


def test_channel_outlives_the_loop_that_named_it(layer: ShardedChannelLayer) -> None:
    """Named in one loop, sent to from a second one and received in a third one."""
    channels = [async_to_sync(layer.new_channel)() for _ in range(2)]
    for channel in channels:
        async_to_sync(layer.send)(channel, {"type": "x", "to": channel})
    for channel in reversed(channels):
        assert async_to_sync(layer.receive)(channel) == {"type": "x", "to": channel}


def test_sync_code_sends_to_a_loop_that_receives(layer: ShardedChannelLayer) -> None:
    """A loop that is driven by hand receives what async_to_sync sends between its runs."""
    with asyncio.Runner() as runner:
        channel = runner.run(layer.new_channel())
        send = async_to_sync(layer.send)
        for number in range(3):
            send(channel, {"type": "x", "number": number})
        received = [runner.run(layer.receive(channel))["number"] for _ in range(3)]
    assert received == [0, 1, 2]


FORK = r"""
import gc, json, os, sys, warnings
from asgiref.sync import async_to_sync
from redis import Redis
from shardlayer.layer import ShardedChannelLayer
from tests.waiting import PATIENCE, wait_until

def connections():
    with Redis.from_url(sys.argv[1]) as redis:
        return sorted(c["id"] for c in redis.client_list() if c["name"] == "shardlayer")

layer = ShardedChannelLayer(hosts=[sys.argv[1]])
send = async_to_sync(layer.send)
async_to_sync(layer.new_channel)()
send("tasks", {"type": "x", "from": "parent"})
before = connections()
reader, writer = os.pipe()
# From 3.12 on Python says of each fork in a process with threads that it may deadlock. The layer
# has one, and what is shown is that the child does not.
warnings.filterwarnings("ignore", r"This process .* is multi-threaded", DeprecationWarning)
if os.fork() == 0:
    gc.collect()
    send("tasks", {"type": "x", "from": "child"})
    os.write(writer, json.dumps(connections()).encode())
    os.close(writer)
    sys.exit()  # with all that is done at the interpreter's exit
_, status = os.wait()
during = json.loads(os.read(reader, 10_000))
send("tasks", {"type": "x", "from": "parent"})
receive = async_to_sync(layer.receive)
print(json.dumps({
    "status": status,
    "before": before,
    "during": during,
    "after": connections(),
    "received": [receive("tasks")["from"] for _ in range(3)],
}))
"""

FORKED_THREADS = r"""
import os, sys, threading, warnings
from redis import Redis
from shardlayer.layer import ShardedChannelLayer
from tests.waiting import PATIENCE, wait_until

warnings.filterwarnings("ignore", r"This process .* is multi-threaded", DeprecationWarning)
def clients():
    with Redis.from_url(sys.argv[1]) as redis:
        listed = redis.client_list()
    return {client["id"] for client in listed if client["name"] == "shardlayer"}

others = clients()  # of the tests before this one, whose layers live on in their process
layer = ShardedChannelLayer(hosts=[sys.argv[1]])
layer.publish_sync("room", b"0")
for _ in range(10):
    if child := os.fork():
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        continue
    sys.setswitchinterval(1e-6)
    begin = threading.Barrier(16)

    def publish():
        begin.wait()
        layer.publish_sync("room", b"1")

    threads = [threading.Thread(target=publish) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count = len(clients() - others)
    os._exit(0 if (count, layer.stats()["published"]) == (2, 16) else 1)  # the parent's is one
"""

EXIT = """
import asyncio, sys, threading
from asgiref.sync import async_to_sync
from shardlayer.layer import ShardedChannelLayer
from tests.waiting import PATIENCE, wait_until

layer = ShardedChannelLayer(hosts=[sys.argv[1]])

def publish():
    async_to_sync(layer.group_send)("g", {"type": "x"})
    async_to_sync(layer.publish)("room", b"1")

async def serve():
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    await layer.group_send("g", {"type": "x"})
    await layer.receive(channel)

def publish_by_hand():  # async_to_sync itself refuses once the main thread has ended
    asyncio.run(layer.publish("room", b"1"))

def publish_on_and_on():
    while True:
        publish_by_hand()
"""
PUBLISH_AT_EXIT = """
import atexit, sys
atexit.register(lambda: print(layer.publish_sync("room", b"2").offset))  # is called last
from shardlayer.layer import ShardedChannelLayer
layer = ShardedChannelLayer(hosts=[sys.argv[1]])
print(layer.publish_sync("room", b"1").offset)
"""
WAYS_TO_END = {
    "main thread": "publish()",
    "a thread": "t = threading.Thread(target=publish); t.start(); t.join()",
    "a thread that is still at it": "threading.Thread(target=asyncio.run, args=[serve()]).start()",
    "a thread that begins late": "threading.Thread(target=publish_by_hand).start()",
    "a daemon thread": "threading.Thread(target=publish_on_and_on, daemon=True).start(); publish()",
    "a loop": "asyncio.run(serve())",
    "a loop and the main thread": "publish(); asyncio.run(serve())",
    "an error": "publish(); sys.exit(3)",
}


def run(program: str, server: EmbeddedValkey) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "always", "-c", program, server.url],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_forked_child_never_uses_its_parents_connections(redis_server: EmbeddedValkey) -> None:
    """The child opens its own, and when it ends the parent's still serve the parent."""
    ended = run(FORK, redis_server)
    assert ended.stderr == ""
    seen = json.loads(ended.stdout)
    assert seen["status"] == 0
    before, during = set(seen["before"]), set(seen["during"])
    assert len(before) == 1
    assert before < during, "the child's own connection, and the parent's untouched"
    assert before <= set(seen["after"])
    assert not (during - before) & set(seen["after"])
    assert seen["received"] == ["parent", "child", "parent"]


def test_threads_of_a_forked_child_begin_anew_together(redis_server: EmbeddedValkey) -> None:
    """They come at the same moment, and share one connection all the same."""
    ended = run(FORKED_THREADS, redis_server)
    assert ended.stderr == ""
    assert ended.returncode == 0


@pytest.mark.parametrize("way", WAYS_TO_END)
def test_interpreter_exits_in_silence(redis_server: EmbeddedValkey, way: str) -> None:
    """No traceback, no warning and no waiting, wherever the layer was used from."""
    if "late" in way and (3, 12) <= sys.version_info < (3, 12, 2):
        pytest.skip("no thread may start another once the main one has ended: gh-113964, 3.12.2")
    ended = run(EXIT + WAYS_TO_END[way], redis_server)
    assert ended.stderr == ""
    assert ended.returncode == (3 if way == "an error" else 0)


def test_what_runs_at_the_exit_publishes(redis_server: EmbeddedValkey) -> None:
    """The layer's own thread goes on until then."""
    ended = run(PUBLISH_AT_EXIT, redis_server)
    assert ended.stderr == ""
    assert ended.stdout == "1\n2\n"
