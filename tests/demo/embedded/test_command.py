"""`python -m demo.embedded`: a server in the foreground, as the Procfile has it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from demo.embedded import EmbeddedValkey, free_port
from demo.embedded.ports import answers, is_free
from tests.waiting import wait_until

DEADLINE = 60.0  # seconds


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command; end it with the block, if it did not end itself."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "demo.embedded", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("kind", ["redis", "kafka"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_a_signal(kind: str, number: signal.Signals, tmp_path: Path) -> None:
    """It serves, and a signal ends it with code 0 and frees the port."""
    port = free_port()
    with running(kind, "--port", str(port), "--directory", str(tmp_path)) as process:
        wait_until(lambda: answers(port))
        process.send_signal(number)
        assert process.wait(DEADLINE) == 0
    assert is_free(port)


def test_redis_has_the_password_of_its_folder(tmp_path: Path) -> None:
    """Whoever may read the folder is let in."""
    port = free_port()
    with running("redis", "--port", str(port), "--directory", str(tmp_path)):
        wait_until(lambda: answers(port))
        password = (tmp_path / "password").read_text()
        wait_until(EmbeddedValkey(directory=tmp_path, port=port, password=password).is_up)
        assert not EmbeddedValkey(directory=tmp_path, port=port).is_up()


def test_ends_when_its_server_dies(tmp_path: Path) -> None:
    """A crash of the server ends the command with code 1, so that it is started again."""
    port = free_port()
    with running("redis", "--port", str(port), "--directory", str(tmp_path)) as process:
        assert process.stdout is not None
        assert any("listens on" in line for line in process.stdout)
        (server,) = psutil.Process(process.pid).children()
        server.kill()
        output, _ = process.communicate(timeout=DEADLINE)
        assert process.returncode == 1
        assert "ended by itself" in output


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_killed_command_takes_its_server_along(tmp_path: Path) -> None:
    """Even kill -9 leaves no server behind."""
    port = free_port()
    with running("redis", "--port", str(port), "--directory", str(tmp_path)) as process:
        wait_until(lambda: answers(port))
        process.kill()
        process.wait(DEADLINE)
        wait_until(lambda: is_free(port))


def test_taken_port_is_one_clear_line(redis_server: EmbeddedValkey, tmp_path: Path) -> None:
    """A port that somebody has is named, with exit code 1."""
    arguments = ("redis", "--port", str(redis_server.port), "--directory", str(tmp_path))
    with running(*arguments) as process:
        output, _ = process.communicate(timeout=DEADLINE)
    assert output == f"Port {redis_server.port} is taken; Valkey was to have it.\n"
    assert process.returncode == 1


def test_wrong_topic_is_explained(tmp_path: Path) -> None:
    """A topic without a number of partitions is refused before anything starts."""
    arguments = ("kafka", "--port", "1", "--directory", str(tmp_path), "--topic", "events")
    with running(*arguments) as process:
        output, _ = process.communicate(timeout=DEADLINE)
    assert "NAME:PARTITIONS" in output
    assert process.returncode == 2
