"""Processes whose threads are greenlets: gevent serves, eventlet is refused.

Each runs in a process of its own, which gevent has patched as it patches a server's.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey, free_port
from tests.waiting import PATIENCE, wait_until

REQUESTS = 60
ROOT = Path(__file__).resolve().parents[3]

BEGINNING = """
from gevent import monkey; monkey.patch_all()
import gevent, json, os, sys, threading
from collections import Counter
from asgiref.sync import async_to_sync
from django.conf import settings
database = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
settings.configure(DATABASES={"default": database})
import django; django.setup()
from django.db import connection
from shardlayer.layer import ShardedChannelLayer

layer = ShardedChannelLayer(hosts=[sys.argv[1]])

def query():
    with connection.cursor() as cursor:
        cursor.execute("select 1")
        return cursor.fetchone()[0]
"""

METHODS = """
def offset(position):
    return position.offset

done = []
for each in (
    lambda: offset(layer.publish_sync("room", b"1")),
    lambda: [offset(each) for each in layer.publish_many_sync([("room", b"2"), ("room", b"3")])],
    lambda: layer.announce_sync(b"4"),
    lambda: layer.send_sync("tasks", {"type": "x", "number": 5}),
    lambda: layer.group_send_sync("g", {"type": "x"}),
    lambda: offset(async_to_sync(layer.publish)("room", b"6")),
    lambda: async_to_sync(layer.group_add)("g", "tasks"),
    lambda: layer.group_send_sync("g", {"type": "x", "number": 7}),
    lambda: async_to_sync(layer.receive)("tasks")["number"],
    lambda: async_to_sync(layer.receive)("tasks")["number"],
    lambda: [publication.data.decode() for publication in async_to_sync(layer.history)("room")],
    lambda: async_to_sync(layer.close)(),
    lambda: offset(layer.publish_sync("room", b"8")),
):
    done.append((each(), query()))
print(json.dumps(done))
"""

MANY = """
turns = 0

def watch():
    global turns
    while True:
        turns += 1
        gevent.sleep(0.001)

def publish(room):
    return [layer.publish_sync(room, b"%d" % n).offset * query() for n in range(20)]

watching = gevent.spawn(watch)
publishing = [gevent.spawn(publish, f"room.{n}") for n in range(50)]
gevent.joinall(publishing, raise_error=True)
print(json.dumps([[each.value for each in publishing], turns, threading.active_count()]))
"""

BESIDE_ASYNC_TO_SYNC = """
import asyncio

offsets = []

async def sleep():
    while len(offsets) < 5:
        await asyncio.sleep(0.01)
    return "slept"

sleeping = gevent.spawn(async_to_sync(sleep))
while not sleeping.dead:
    gevent.sleep(0.01)
    offsets.append(layer.publish_sync("room", b"1").offset)
print(json.dumps([offsets, sleeping.get()]))
"""

LATE = """
import sys, warnings
from shardlayer.layer import ShardedChannelLayer
layer = ShardedChannelLayer(hosts=[sys.argv[1]])
warnings.simplefilter("ignore")  # gevent would have it earlier
from gevent import monkey; monkey.patch_all()
import gevent
jobs = [gevent.spawn(layer.publish_sync, "room", b"1") for _ in range(20)]
gevent.joinall(jobs, raise_error=True)
print(sorted(job.value.offset for job in jobs))
"""

PATCHED = "from gevent import monkey; monkey.patch_all()\n"
LOOPS_AT_EXIT = """
import asyncio, atexit

loops = []
make = asyncio.new_event_loop

def make_and_keep():
    loops.append(make())
    return loops[-1]

asyncio.new_event_loop = make_and_keep
atexit.register(lambda: print([loop.is_closed() for loop in loops]))  # before all others: the last
"""
PUBLISH_AND_EXIT = """
layer.publish_sync("room", b"1")
"""

UNREACHABLE = """
layer = ShardedChannelLayer(hosts=["redis://127.0.0.1:1"], publish_timeout=0.3)
from shardlayer.core.exceptions import ShardUnavailable
try:
    layer.publish_sync("room", b"1")
except ShardUnavailable:
    print(query())
"""

INTERRUPTED = """
import asyncio, gc
from shardlayer.aio.other_loops import wait_there
from shardlayer.core.exceptions import LoopEnded

layer.publish_sync("room", b"1")
there = layer._engines._process.background.engine().loop

async def wait():
    await asyncio.get_running_loop().create_future()

def interrupt():
    waiting = gevent.spawn(wait_there, there, wait)
    gevent.sleep(0.01)
    waiting.kill()

def be_late():
    with gevent.Timeout(0.01, False):
        wait_there(there, wait)

def come_too_late():
    try:
        wait_there(ended, wait)
    except LoopEnded:
        pass

ended = asyncio.new_event_loop()
ended.close()
gc.collect()
before = gevent.get_hub().loop.activecnt
for _ in range(5):
    interrupt()
    be_late()
    come_too_late()
for turns in range(300):  # some of them in the moment that the answer comes
    with gevent.Timeout(turns / 100_000, False):
        layer.publish_sync("room", b"1")
left = gevent.get_hub().loop.activecnt - before
print(json.dumps([left, layer.publish_sync("room", b"1").offset > 1, gevent.wait(timeout=20)]))
"""


def run(program: str, server: EmbeddedValkey) -> str:
    """Run a program to its end and return what it wrote; it must not have complained."""
    ended = subprocess.run(
        [sys.executable, "-c", program, server.url],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.stderr == ""
    assert ended.returncode == 0
    return ended.stdout


def test_every_way_to_send_and_the_database_after_it(redis_server: EmbeddedValkey) -> None:
    """Each method does what it does elsewhere, and Django takes a query after each."""
    done = json.loads(run(BEGINNING + METHODS, redis_server))
    assert [value for value, _ in done] == [
        *(1, [2, 3], None, None, None, 4, None, None, 5, 7, ["1", "2", "3", "6"], None, 5)
    ]
    assert [answer for _, answer in done] == [1] * len(done)


def test_greenlets_go_on_while_one_waits(redis_server: EmbeddedValkey) -> None:
    """Fifty of them publish and ask the database; order stays, and nobody holds up the others."""
    offsets, turns, threads = json.loads(run(BEGINNING + MANY, redis_server))
    assert offsets == [list(range(1, 21))] * 50
    assert turns > 20
    assert threads < 5


def test_beside_a_greenlet_that_runs_an_event_loop(redis_server: EmbeddedValkey) -> None:
    """Whoever else runs `async_to_sync` there does not make a blocking call an error."""
    offsets, slept = json.loads(run(BEGINNING + BESIDE_ASYNC_TO_SYNC, redis_server))
    assert offsets == list(range(1, len(offsets) + 1))
    assert len(offsets) >= 5
    assert slept == "slept"


def test_layer_that_was_made_before_the_patch(redis_server: EmbeddedValkey) -> None:
    """Its locks are the system's, and hold up no greenlet."""
    assert run(LATE, redis_server) == f"{list(range(1, 21))}\n"


def test_call_that_is_interrupted_leaves_no_watcher(redis_server: EmbeddedValkey) -> None:
    """Killed, timed out or refused: `gevent.wait` ends, and the next call has its answer."""
    left, is_published, is_over = json.loads(run(BEGINNING + INTERRUPTED, redis_server))
    assert left == 0
    assert is_published
    assert is_over


def test_thread_stops_before_python_ends(redis_server: EmbeddedValkey) -> None:
    """A thread that is left beside greenlet crashes the process, once in a hundred times."""
    program = PATCHED + LOOPS_AT_EXIT + BEGINNING + PUBLISH_AND_EXIT
    assert run(program, redis_server) == "[True]\n"


def test_error_is_told(redis_server: EmbeddedValkey) -> None:
    """ShardUnavailable, as everywhere, and a query after it."""
    assert run(BEGINNING + UNREACHABLE, redis_server) == "1\n"


def test_eventlet_is_refused() -> None:
    """With words that say what to do, and before anything waits for good."""
    program = (
        "import eventlet; eventlet.monkey_patch()\n"
        "from shardlayer.layer import ShardedChannelLayer\n"
        "ShardedChannelLayer()\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("shardlayer.core.exceptions.ConfigurationError: eventlet has patched")
    assert "gevent" in last


@contextmanager
def gunicorn(server: EmbeddedValkey, *options: str, **environ: str) -> Iterator[str]:
    """Gunicorn with two gevent workers; its address, where it answers."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", "--worker-class", "gevent", "--workers", "2"),
        *("--bind", f"127.0.0.1:{port}", "--log-level", "warning", *options),
        "tests.shardlayer.layer.green_site:application",
    ]
    environment = {**os.environ, "REDIS_URL": server.url, **environ}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or answers(url), within=PATIENCE)
        assert process.poll() is None, process.communicate()[1]
        yield url
        process.send_signal(signal.SIGTERM)
        _, complaints = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert "Traceback" not in complaints
        assert "Error" not in complaints
    finally:
        process.kill()
        process.communicate()


def answers(url: str) -> bool:
    """Tell whether a server answers, whatever it is that it says."""
    try:
        urlopen(f"{url}/publish?text=first", timeout=PATIENCE).close()
    except URLError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("preload", [False, True])
def test_views_of_gunicorns_gevent_workers(redis_server: EmbeddedValkey, preload: bool) -> None:
    """Every view publishes and asks the database, also where the site published before the fork."""
    options = ["--preload"] if preload else []
    environ = {"PRELOADED": "1"} if preload else {}

    def ask(number: int) -> dict[str, int]:
        with urlopen(f"{url}/publish?text={number}", timeout=PATIENCE) as answer:
            found: dict[str, int] = json.load(answer)
        return found

    with gunicorn(redis_server, *options, **environ) as url, ThreadPoolExecutor(20) as pool:
        found = list(pool.map(ask, range(REQUESTS)))
    first = 3 if preload else 2
    assert sorted(each["offset"] for each in found) == list(range(first, first + REQUESTS))
    with Redis.from_url(redis_server.url) as redis:
        left = [entry for entry in redis.client_list() if entry["name"] == "shardlayer"]
    assert left == []
