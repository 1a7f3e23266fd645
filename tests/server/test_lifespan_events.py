"""Applications are told that the server starts and stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.server.client import RawClient
from tests.waiting import PATIENCE, wait_until


def start(directory: Path, application: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "shardlayer.server"),
            *("-u", str(directory / "server.sock"), application),
        ],
        env={**os.environ, "DIARY": str(directory / "diary"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def diary(directory: Path) -> list[str]:
    path = directory / "diary"
    return path.read_text().split() if path.exists() else []


def answers(path: Path) -> bool:
    """Tell whether a server answers: one that only listens does not handle signals yet."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return bool(client.recv(1))


def test_application_is_told_of_start_and_stop(tmp_path: Path) -> None:
    """Startup comes when the server starts, shutdown after SIGTERM, before the process ends."""
    with start(tmp_path, "tests.server.lifespan_application:application") as server:
        wait_until(lambda: diary(tmp_path) == ["lifespan.startup"])
        server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=PATIENCE)
    assert diary(tmp_path) == ["lifespan.startup", "lifespan.shutdown"]
    assert server.returncode == 0
    assert "Traceback" not in output


def test_application_that_can_not_start_stops_the_server(tmp_path: Path) -> None:
    """Its message is logged and the exit code is 1."""
    application = "tests.server.lifespan_application:application"
    with start(tmp_path, application, REFUSE="1") as server:
        output, _ = server.communicate(timeout=PATIENCE)
    assert "The application can't start: no fuel" in output
    assert server.returncode == 1


def test_application_without_lifespan_is_served(tmp_path: Path) -> None:
    """One that raises for the scope is served all the same, and stops without delay."""
    with start(tmp_path, "tests.tutorial.asgi:application") as server:
        wait_until(lambda: answers(tmp_path / "server.sock"))
        server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=PATIENCE)
    assert server.returncode == 0
    assert "Traceback" not in output


def test_state_is_in_every_scope(tmp_path: Path) -> None:
    """What the application keeps in the lifespan's state reaches HTTP and WebSockets.

    Each scope has a copy of its own of the same objects.
    """

    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(str(tmp_path / "server.sock"))
        return connection

    with start(tmp_path, "tests.server.lifespan_application:application") as server:
        wait_until(lambda: diary(tmp_path) == ["lifespan.startup"])
        for shared in (["http"], ["http", "http"]):
            with connect() as connection, connection.makefile("rb") as answer:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                state = json.loads(answer.read().partition(b"\r\n\r\n")[2])
            assert state == {"shared": shared, "http": True}
        with RawClient(connect()) as client:
            received = client.read()
            assert received is not None
            assert json.loads(received.payload) == {
                "shared": ["http", "http", "websocket"],
                "websocket": True,
            }
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=PATIENCE)
