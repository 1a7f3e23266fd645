"""bin/dev as a person uses it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import AuthenticationError, Redis

from demo.devserver.plan import KAFKA_OFFSET, REDIS_OFFSET
from demo.devserver.running_demo import NOTE
from demo.embedded import EmbeddedTansu, EmbeddedValkey
from demo.embedded.ports import LOOPBACK, is_free
from tests.demo.devserver.session import STOP_PATIENCE, Session, fetch
from tests.waiting import PATIENCE, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("dev"),  # one stack at a time
]


@pytest.fixture
def procfile(checkout: Path) -> Iterator[Path]:
    """The checkout's Procfile, which a test may change."""
    file = checkout / "Procfile"
    text = file.read_text()
    yield file
    file.write_text(text)


def all_free(port: int) -> bool:
    """Say whether every port of a run is free."""
    return all(is_free(port + offset) for offset in (0, 1, 2, REDIS_OFFSET, KAFKA_OFFSET))


def break_part(procfile: Path, name: str, script: str) -> None:
    """Give a part of the Procfile a Python script in place of its command."""
    (procfile.parent / "broken.py").write_text(script)
    line = f"{name}: bin/part {name} python broken.py"
    text, count = re.subn(rf"(?m)^{name}: .*$", line, procfile.read_text())
    assert count == 1
    procfile.write_text(text)


def test_starts_serves_stops_and_starts_again(checkout: Path, port: int) -> None:
    """The page answers on each port, Ctrl-C leaves nothing, and a second start works at once.

    The second is told to have a worker more, behind the same port.
    """
    plans: list[tuple[list[str], int]] = [([], 2), (["--workers", "3"], 3)]
    for options, workers in plans:
        with Session(checkout, "bin/dev", *options, PORT=str(port)) as dev:
            dev.wait_for(f"-> {workers} workers")
            dev.wait_for(f"Ready: http://127.0.0.1:{port}/\n")
            dev.wait_for("demo login: admin / admin")
            for each in range(port, port + workers + 1):
                status, page = fetch(each)
                assert (status, "<html" in page) == (200, True)
            assert fetch(port, "/admin/login/")[0] == 200
            assert re.search(r"(?m)^  live data +\d+\.\d s ", dev.output)
            assert "machine." in in_a_shell(checkout, "realtime", "rooms")
            assert dev.press_ctrl_c() == 0
            dev.leaves_nothing()
            assert not (checkout / "var" / NOTE).exists()
            assert all_free(port)


def in_a_shell(checkout: Path, *arguments: str) -> str:
    """Return what a management command prints in a shell that knows no address."""
    command = [str(checkout / ".venv" / "bin" / "python"), "manage.py", *arguments]
    done = subprocess.run(
        command, cwd=checkout, env={}, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def patient_stop(checkout: Path) -> Iterator[None]:
    """Each part of the checkout's demo may take long to stop, on a busy machine."""
    changes = {
        "configuration.py": ("stop_seconds=3", "stop_seconds=8"),
        "supervisor.py": ("STOP_TIMEOUT = 9.0", "STOP_TIMEOUT = 55.0"),
    }
    texts = {}
    for name, (old, new) in changes.items():
        file = checkout / "demo" / "devserver" / name
        texts[file] = file.read_text()
        assert old in texts[file]
        file.write_text(texts[file].replace(old, new))
    yield
    for file, text in texts.items():
        file.write_text(text)


@pytest.mark.usefixtures("patient_stop")
def test_other_users_see_nothing_and_sigterm_stops_it(checkout: Path, port: int) -> None:
    """Data, logs and the database are their owner's, and Redis wants its password.

    A signal to bin/dev alone ends all parts: the balancer, the workers, then the rest.
    """
    with Session(checkout, PORT=str(port)) as dev:
        dev.wait_for("Ready: ")
        assert (checkout / "var").stat().st_mode & 0o777 == 0o700
        with (
            Redis.from_url(f"redis://{LOOPBACK}:{port + REDIS_OFFSET}") as stranger,
            pytest.raises(AuthenticationError),
        ):
            stranger.ping()
        done = subprocess.run(
            ["bin/part", "shell", "python", "manage.py", "rooms"],
            cwd=checkout,
            env={"PATH": os.environ["PATH"], "PORT": str(port)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert "machine.cpu" in done.stdout, done.stderr
        dev.process.terminate()
        assert dev.wait() == 0
        dev.leaves_nothing()
        log = (checkout / "var" / "log" / "supervisord.log").read_text()
    stopped = re.findall(r"stopped: ([a-z0-9-]+)", log)
    assert stopped[0] == "balancer"
    assert sorted(stopped[1:3]) == ["worker-1", "worker-2"]
    assert stopped[3:] == ["feed", "pool", "kafka", "redis"]
    assert "SIGKILL" not in log


def test_crashed_worker_is_started_again(checkout: Path, port: int) -> None:
    """The page answers meanwhile; Supervisor starts the worker again and bin/dev says so."""
    with Session(checkout, PORT=str(port)) as dev:
        dev.wait_for("Ready: ")
        (worker,) = (
            process
            for process in dev.left_behind()
            if f"-p {port + 2}" in " ".join(process.cmdline())
        )
        worker.kill()
        assert [fetch(port)[0] for _ in range(4)] == [200] * 4
        dev.wait_for("worker-2 was started again")
        wait_until(lambda: not is_free(port + 2))
        assert fetch(port + 2)[0] == 200
        assert dev.press_ctrl_c() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_killed_bin_dev_takes_everything_along(checkout: Path, port: int) -> None:
    """Even kill -9 of bin/dev leaves no port and no process."""
    with Session(checkout, PORT=str(port)) as dev:
        dev.wait_for("Ready: ")
        dev.process.kill()
        dev.leaves_nothing()
        assert all_free(port)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_killed_supervisor_is_told_and_takes_everything_along(checkout: Path, port: int) -> None:
    """Without Supervisor nothing is watched: bin/dev says so and ends, and so do the parts."""
    with Session(checkout, PORT=str(port)) as dev:
        dev.wait_for("Ready: ")
        (daemon,) = psutil.Process(dev.process.pid).children()
        daemon.kill()
        assert dev.wait() == 1
        assert "bin/dev: Supervisor is gone" in dev.output
        dev.leaves_nothing()
        assert all_free(port)


@pytest.mark.parametrize(
    ("offset", "part"),
    [
        (0, "balancer"),
        (1, "worker-1"),
        (2, "worker-2"),
        (REDIS_OFFSET, "redis"),
        (KAFKA_OFFSET, "kafka"),
    ],
)
def test_taken_port_is_named(checkout: Path, port: int, offset: int, part: str) -> None:
    """One line says which port, who has it and what needs it, before anything starts."""
    with socket.create_server((LOOPBACK, port + offset)), Session(checkout, PORT=str(port)) as dev:
        assert dev.wait() == 1
        dev.leaves_nothing()
    (line,) = dev.output.splitlines()
    assert line.startswith(f"bin/dev: Port {port + offset} is taken by ")
    assert f"{part} needs it" in line


def test_part_that_ends_is_named_with_its_last_lines(
    checkout: Path, port: int, procfile: Path
) -> None:
    """A broken pool is told with what it said, and nothing is left running."""
    break_part(procfile, "pool", "import sys; sys.exit('the reason')")
    with Session(checkout, PORT=str(port)) as dev:
        assert dev.wait() == 1
        assert "bin/dev: pool ended by itself." in dev.output
        assert "  the reason\n" in dev.output
        dev.leaves_nothing()
        assert all_free(port)


def test_ctrl_c_while_it_starts_leaves_nothing(checkout: Path, port: int, procfile: Path) -> None:
    """A worker that never answers can be waited for no longer at any time."""
    break_part(procfile, "worker-1", "import signal; signal.pause()")
    with Session(checkout, PORT=str(port)) as dev:
        dev.wait_for("  kafka ")
        assert dev.press_ctrl_c() == 0
        assert "Ready" not in dev.output
        dev.leaves_nothing()
        assert all_free(port)


def test_part_that_ignores_sigterm_is_killed_in_time(
    checkout: Path, port: int, procfile: Path
) -> None:
    """Ctrl-C ends whatever a part does, about within the promised time."""
    script = "import signal; signal.signal(15, signal.SIG_IGN)\nwhile True: signal.pause()"
    break_part(procfile, "worker-1", script)
    with Session(checkout, PORT=str(port)) as dev:
        dev.wait_for("  kafka ")
        began = time.monotonic()
        assert dev.press_ctrl_c() == 0
        assert time.monotonic() - began < STOP_PATIENCE
        dev.leaves_nothing()


def test_parts_elsewhere_are_not_started(
    checkout: Path,
    port: int,
    tmp_path: Path,
    redis_server: EmbeddedValkey,
    kafka_broker: EmbeddedTansu,
) -> None:
    """Redis, Kafka and the database of the environment are used in place of the embedded ones."""
    variables = {
        "PORT": str(port),
        "REDIS_URL": redis_server.url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'other.sqlite3'}",
    }
    with Session(checkout, **variables) as dev:
        dev.wait_for("Ready: ")
        assert is_free(port + REDIS_OFFSET)
        assert is_free(port + KAFKA_OFFSET)
        assert (tmp_path / "other.sqlite3").exists()
        assert dev.press_ctrl_c() == 0
    assert redis_server.is_up()
    assert kafka_broker.is_up()


def test_second_run_in_a_checkout_is_refused(checkout: Path, port: int, procfile: Path) -> None:
    """Two would share var/: the second says who is there, and the first goes on."""
    break_part(procfile, "worker-1", "import signal; signal.pause()")
    with Session(checkout, PORT=str(port)) as first:
        first.wait_for("  kafka ")
        with Session(checkout, PORT=str(port + 2)) as second:
            code = second.wait()
            pid = first.process.pid
            second.wait_for(f"bin/dev: bin/dev runs in this checkout already (pid {pid}).")
            assert code == 1
            assert first.process.poll() is None
            first.process.send_signal(signal.SIGTERM)
            assert first.wait() == 0
