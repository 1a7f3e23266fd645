"""The whole of it in processes of its own: Redis, Kafka, the pool, the feed and two workers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.request import urlopen

from demo.embedded import EmbeddedServer, EmbeddedTansu, EmbeddedValkey, free_port

STOP_TIMEOUT = 10.0  # seconds from SIGTERM to SIGKILL, for parts without a port


def is_served(url: str, *, timeout: float = 5) -> bool:
    """Say whether a page is there."""
    try:
        with urlopen(url, timeout=timeout) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class Worker(EmbeddedServer):
    """One `shardlayer-daphne`, which can be killed and started again on its port."""

    name: ClassVar[str] = "The worker"
    start_timeout: ClassVar[float] = 60.0  # seconds; a busy machine takes more than 15

    def __init__(
        self,
        *,
        directory: Path,
        port: int,
        environment: Mapping[str, str],
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(directory=directory, port=port)
        self._environment = environment
        self._options = options

    @property
    def url(self) -> str:
        """The address of its page."""
        return f"http://{self.address}/"

    def command(self, port: int) -> list[str]:
        """Return the program and its arguments; `env` becomes the program."""
        variables = [f"{name}={value}" for name, value in self._environment.items()]
        server = [sys.executable, "-m", "shardlayer.server", "config.asgi:application"]
        return ["env", *variables, *server, "-b", "127.0.0.1", "-p", str(port), *self._options]

    def is_up(self) -> bool:
        """Say whether it answers HTTP."""
        return is_served(f"{self.url}health/live", timeout=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Two workers that share a Redis, and the environment that both have."""

    redis: EmbeddedValkey
    first: Worker
    second: Worker
    environment: Mapping[str, str]


@contextmanager
def run_workers(
    directory: Path, *, kafka: EmbeddedTansu | None = None, balancer: Path | None = None
) -> Iterator[Workers]:
    """Run two workers on a Redis of their own; with `kafka` also the pool and the demo feed.

    Args:
        balancer: The socket of a balancer that they join.
    """
    with ExitStack() as running:
        redis = running.enter_context(EmbeddedValkey(directory=directory / "redis"))
        ports = [free_port(), free_port()]
        environment = {
            "REDIS_URL": redis.url,
            "DATABASE_URL": f"sqlite:///{directory / 'db.sqlite3'}",
            "DJANGO_DEBUG": "1",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SHARDLAYER_WORKERS": ",".join(
                f"worker-{i}=http://127.0.0.1:{port}" for i, port in enumerate(ports, 1)
            ),
        }
        if kafka is not None:
            environment["KAFKA_BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
        first, second = (
            running.enter_context(
                Worker(
                    directory=directory / f"worker-{i}",
                    port=port,
                    environment={**environment, "SHARDLAYER_WORKER": f"worker-{i}"},
                    options=() if balancer is None else ("--balancer", str(balancer)),
                )
            )
            for i, port in enumerate(ports, 1)
        )
        if kafka is not None:
            for command in ("runkafka", "demofeed"):
                running.enter_context(_run(command, directory, environment))
        yield Workers(redis=redis, first=first, second=second, environment=environment)


@contextmanager
def _run(command: str, directory: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run a management command inside the block."""
    with (directory / f"{command}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "django", command],
            cwd=directory,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
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
