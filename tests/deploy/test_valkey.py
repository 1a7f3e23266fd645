"""deploy/valkey/start.sh: a server, and the primary, replica and Sentinels of a compose file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis import Redis
from redis.exceptions import RedisError

from config.redis import redis_config
from demo.embedded import free_port
from demo.embedded.valkey import valkey_binary
from shardlayer.core.types import Position
from shardlayer.layer import ShardedChannelLayer
from tests.realtime.process import Process
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
START = ROOT / "deploy" / "valkey" / "start.sh"
PASSWORD = "p" * 48
LOOPBACK = "127.0.0.1"
SETTLED = 60.0  # seconds until servers have found each other, or another primary

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class StartedValkey(Process):
    """A server or a Sentinel that start.sh starts; what is in `directory` outlives it."""

    def __init__(self, directory: Path, role: str, **environ: str) -> None:
        directory.mkdir(exist_ok=True)
        programs = directory.parent / "bin"
        programs.mkdir(exist_ok=True)
        if not (link := programs / "valkey-server").exists():
            link.symlink_to(valkey_binary())
        self.port = int(environ.get("VALKEY_PORT", free_port()))
        super().__init__(
            ["/bin/sh", str(START), role],
            log=directory / "log",
            **{
                "VALKEY_PASSWORD": PASSWORD,
                "VALKEY_MAXMEMORY": "64mb",
                "VALKEY_DATA": str(directory),
                "VALKEY_PORT": str(self.port),
                "VALKEY_NAME": LOOPBACK,
                **environ,
                "PATH": f"{programs}:{os.environ['PATH']}",
            },
        )

    def client(self) -> Redis:
        """Return a client of it."""
        return Redis(port=self.port, password=PASSWORD, decode_responses=True, socket_timeout=10)

    def ask(self, question: str) -> Any:
        """Return what it says of its replication, or None while it says nothing."""
        try:
            with self.client() as client:
                return client.info("replication").get(question)
        except RedisError:
            return None


def start(stack: ExitStack, directory: Path, role: str, **environ: str) -> StartedValkey:
    """Start one; it ends with the stack."""
    return stack.enter_context(StartedValkey(directory, role, **environ))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is started is stopped after the test."""
    with ExitStack() as started:
        yield started


def test_server_keeps_everything(stack: ExitStack, tmp_path: Path) -> None:
    """An append-only file that is written at once, no eviction, a limit, and a password."""
    server = start(stack, tmp_path / "server", "server")
    wait_until(lambda: server.ask("role") == "master", what=server.output())
    with server.client() as client:
        said = client.config_get("append*", "maxmemory*")
        assert said["appendonly"] == "yes"
        assert said["appendfsync"] == "always"
        assert said["maxmemory"] == str(64 << 20)
        assert said["maxmemory-policy"] == "noeviction"
        client.set("kept", "1")
    with Redis(port=server.port) as stranger, pytest.raises(RedisError, match=r"(?i)auth"):
        stranger.ping()
    assert PASSWORD not in " ".join(psutil.Process(server.pid).cmdline())
    assert (tmp_path / "server" / "valkey.conf").stat().st_mode & 0o077 == 0
    server.stop()
    again = start(stack, tmp_path / "server", "server", VALKEY_PORT=str(server.port))
    wait_until(lambda: again.ask("role") == "master", what=again.output())
    with again.client() as client:
        assert client.get("kept") == "1"


async def test_failover(stack: ExitStack, tmp_path: Path) -> None:
    """Sentinels promote the replica, the layer goes on, and the old primary comes back below it."""
    primary = start(stack, tmp_path / "valkey", "server")
    place = {"VALKEY_PRIMARY": f"{LOOPBACK}:{primary.port}"}
    replica = start(stack, tmp_path / "replica", "server", **place)
    quick = {"VALKEY_DOWN_AFTER": "5000", **place}  # ms; a busy machine may be slow to answer
    sentinels = [
        start(stack, tmp_path / f"sentinel-{number}", "sentinel", **quick) for number in (1, 2, 3)
    ]
    wait_until(lambda: replica.ask("master_link_status") == "up", what=replica.output())

    def knows_all(sentinel: StartedValkey) -> bool:
        try:
            with sentinel.client() as client:
                state = client.sentinel_master("shards")
        except RedisError:
            return False
        return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)

    for sentinel in sentinels:
        wait_until(lambda of=sentinel: knows_all(of), within=SETTLED, what=sentinel.output())  # type: ignore[misc]
    config = redis_config(
        {
            "REDIS_SENTINELS": ",".join(f"{LOOPBACK}:{one.port}" for one in sentinels),
            "REDIS_PASSWORD": PASSWORD,
            "REDIS_WAIT_REPLICAS": "1",
        }
    )
    layer = ShardedChannelLayer(**config, publish_timeout=SETTLED)
    try:
        before = await layer.publish("general", b"1")
        primary.stop()
        wait_until(lambda: replica.ask("role") == "master", within=SETTLED)
        again = start(stack, tmp_path / "valkey", "server", VALKEY_PORT=str(primary.port))
        after = await layer.publish("general", b"2")  # a replica has it: the old primary is one
        assert before is not None
        assert after == Position(before.offset + 1, before.epoch)
        assert again.ask("role") == "slave"
        again.stop()
        third = start(stack, tmp_path / "valkey", "server", VALKEY_PORT=str(primary.port))
        wait_until(lambda: third.ask("role") is not None, what=third.output())
        assert third.ask("role") == "slave"  # it remembers what it was
    finally:
        await layer.close()


@pytest.mark.parametrize(
    ("role", "environ", "words"),
    [
        ("server", {"VALKEY_PASSWORD": ""}, "VALKEY_PASSWORD"),
        ("server", {"VALKEY_PASSWORD": "p@ss"}, "may have letters"),
        ("server", {"VALKEY_MAXMEMORY": ""}, "VALKEY_MAXMEMORY"),
        ("sentinel", {}, "VALKEY_PRIMARY"),
        ("servant", {}, "server or sentinel?"),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path, role: str, environ: dict[str, str], words: str
) -> None:
    """Nothing starts without a password, a limit, or somebody to watch."""
    given = {"VALKEY_PASSWORD": "p", "VALKEY_MAXMEMORY": "1mb", "VALKEY_DATA": str(tmp_path)}
    ended = subprocess.run(
        ["/bin/sh", START, role],
        env={"PATH": os.environ["PATH"], **given, **environ},
        capture_output=True,
        text=True,
    )
    assert ended.returncode != 0
    assert words in ended.stderr
