"""The chat of the Channels tutorial runs unchanged on our layer, on any server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from demo.embedded import EmbeddedValkey
from demo.embedded.ports import free_port
from tests.waiting import PATIENCE

SERVERS = {
    "daphne": ["-m", "daphne", "-v", "0", "-p", "{port}"],
    "shardlayer-daphne": ["-m", "shardlayer.server", "-v", "0", "-p", "{port}"],
    "uvicorn": ["-m", "uvicorn", "--log-level", "warning", "--port", "{port}"],
}


@contextmanager
def worker(server: str, redis_url: str, log: Path) -> Iterator[int]:
    """Run the tutorial's project on a server; yields the port on which it listens."""
    port = free_port()
    arguments = [argument.format(port=port) for argument in SERVERS[server]]
    environment = {
        **os.environ,
        "REDIS_URL": redis_url,
        "DJANGO_SETTINGS_MODULE": "tests.tutorial.settings",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments, "tests.tutorial.asgi:application"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield port
    finally:
        # Stock Daphne may end its loop while a consumer's thread waits for it, and then hangs.
        process.kill()
        process.wait()


def join(port: int, path: str) -> ClientConnection:
    """Open a chat, waiting for a server that has just been started."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return connect(f"ws://127.0.0.1:{port}/ws/{path}/lobby/", open_timeout=PATIENCE)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def hear(client: ClientConnection) -> str:
    text = client.recv(PATIENCE)
    message: str = json.loads(text)["message"]
    return message


@pytest.mark.parametrize("server", SERVERS)
def test_people_on_two_workers_talk(
    server: str, redis_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """Both versions of the consumer, two processes: everyone in the room reads everything."""
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    with ExitStack() as stack:
        ports = [stack.enter_context(worker(server, redis_server.url, log)) for log in logs]
        people = [
            stack.enter_context(join(port, path)) for port in ports for path in ("chat", "sync")
        ]
        for number, speaker in enumerate(people):
            speaker.send(json.dumps({"message": f"hello {number}"}))
            assert [hear(person) for person in people] == [f"hello {number}"] * len(people)
        people[0].close()
        people[1].send(json.dumps({"message": "one has left"}))
        assert {hear(person) for person in people[1:]} == {"one has left"}
    for log in logs:
        assert "Traceback" not in log.read_text()
        assert "ERROR" not in log.read_text()
