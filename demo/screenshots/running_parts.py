"""The demo, whole, in a folder of its own: servers, workers, pool, feed, and a Prometheus."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from demo.embedded import EmbeddedTansu, EmbeddedValkey, free_port

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PATIENCE = 60.0  # seconds that a part may take to start
STOP_TIMEOUT = 20.0  # seconds from SIGTERM to SIGKILL
USER, PASSWORD = "ada", "for pictures only"  # who the pictures of the admin are taken by

SCRAPE = """
global: {{ scrape_interval: 1s }}
scrape_configs:
  - job_name: shardlayer
    static_configs: [{{ targets: [{targets}] }}]
"""


class ScreenshotError(Exception):
    """The pictures can't be taken; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningDemo:
    """Where it all is.

    Attributes:
        workers: The addresses of the workers' pages, each with its slash.
        prometheus: The address of Prometheus; empty if there is none.
    """

    workers: Sequence[str]
    prometheus: str


@contextmanager
def running_demo(directory: Path, prometheus: str | None) -> Iterator[RunningDemo]:
    """Run it inside the block.

    Args:
        directory: For data and logs.
        prometheus: The program; None: none is run.

    Raises:
        ScreenshotError: A part does not start.
    """
    with ExitStack() as stack:
        redis = stack.enter_context(EmbeddedValkey(directory=directory / "redis"))
        kafka = stack.enter_context(
            EmbeddedTansu(directory=directory / "kafka", topics={"events": 8})
        )
        ports = [free_port(), free_port()]
        workers = [f"http://127.0.0.1:{port}/" for port in ports]
        environment = {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "REDIS_URL": redis.url,
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "DATABASE_URL": f"sqlite:///{directory / 'db.sqlite3'}",
            "METRICS_DIRECTORY": str(directory / "metrics"),
            "SHARDLAYER_WORKERS": ",".join(
                f"worker-{number}={address}" for number, address in enumerate(workers, 1)
            ),
            "LOG_LEVEL": "WARNING",
        }
        _prepare(environment)
        for number, port in enumerate(ports, 1):
            name = f"worker-{number}"
            command = [str(BIN / "shardlayer-daphne"), "-v", "0", "-p", str(port)]
            command += ["--capacity", "100", "--worker-name", name, "config.asgi:application"]
            log = directory / f"{name}.log"
            stack.enter_context(_part(command, log, {**environment, "SHARDLAYER_WORKER": name}))
        for name in ("runkafka", "demofeed"):
            command = [sys.executable, "manage.py", name]
            stack.enter_context(_part(command, directory / f"{name}.log", environment))
        for address in workers:
            _wait(f"{address}health/live")
        asked = ""
        if prometheus is not None:
            asked = stack.enter_context(_prometheus(prometheus, directory, ports))
        yield RunningDemo(workers=workers, prometheus=asked)


@contextmanager
def _prometheus(program: str, directory: Path, ports: Sequence[int]) -> Iterator[str]:
    port = free_port()
    config = directory / "prometheus.yml"
    # One of them tells the figures of all: they share a folder.
    config.write_text(SCRAPE.format(targets=f'"127.0.0.1:{ports[0]}"'))
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with _part(command, directory / "prometheus.log", {}):
        _wait(f"http://127.0.0.1:{port}/-/ready")
        yield f"http://127.0.0.1:{port}"


def _prepare(environment: Mapping[str, str]) -> None:
    for words in (
        ["migrate", "-v", "0"],
        ["createsuperuser", "--noinput", "--username", USER, "--email", ""],
    ):
        ran = subprocess.run(  # noqa: S603 - our own commands
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env={**os.environ, **environment, "DJANGO_SUPERUSER_PASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise ScreenshotError(f"manage.py {words[0]}: {ran.stderr[-500:]}")


@contextmanager
def _part(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - as above
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(address: str) -> None:
    def answers() -> bool:
        try:
            with urlopen(address, timeout=2):  # noqa: S310 - http, of this machine
                return True
        except OSError:
            return False

    wait_for(answers, f"{address} does not answer")


def wait_for(holds: Callable[[], bool], complaint: str) -> None:
    """Return once something holds.

    Raises:
        ScreenshotError: It does not within a minute.
    """
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise ScreenshotError(complaint)
        time.sleep(0.1)
