"""A small deployment for load tests: a Redis, and workers that nobody else uses."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from demo.embedded import EmbeddedValkey, free_port
from tests.realtime.process import BIN, Process, run_manage


class LoadRun:
    """What a run of the command came to.

    Args:
        done: The process.
    """

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.output = done.stdout
        self.errors = done.stderr

    @property
    def report(self) -> dict[str, Any]:
        """What `--json` printed."""
        assert self.output, self.errors
        found: dict[str, Any] = orjson.loads(self.output)
        return found

    def table(self, title: str) -> list[list[str]]:
        """Return the rows of a table of the report."""
        [rows] = [each["rows"] for each in self.report["tables"] if each["title"] == title]
        return list(rows)

    def found(self, check: str) -> float | None:
        """Return what was found for a limit."""
        [value] = [each["found"] for each in self.report["checks"] if each["name"] == check]
        return None if value is None else float(value)


class LoadSite:
    """Two workers of one Redis.

    Args:
        folder: Where logs and the database are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self.redis = EmbeddedValkey(directory=folder)
        self.ports = [free_port(), free_port()]

    @property
    def environment(self) -> dict[str, str]:
        """What each process of it gets to know."""
        return {
            "DJANGO_SETTINGS_MODULE": "tests.realtime.loadtest.loadtest_settings",
            "REDIS_URL": self.redis.url,
            "DATABASE_URL": f"sqlite:///{self._folder}/db.sqlite3",
            "METRICS_DIRECTORY": str(self._folder / "metrics"),
        }

    def __enter__(self) -> Self:
        self._stack.enter_context(self.redis)
        workers = [self._stack.enter_context(self._worker(port)) for port in self.ports]
        for port, worker in zip(self.ports, workers, strict=True):
            worker.serves(port)
        self.started = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _worker(self, port: int, *options: str) -> Process:
        server = [str(BIN / "shardlayer-daphne"), "-p", str(port), *options]
        return Process(
            [*server, "config.asgi:application"],
            log=self._folder / f"worker-{port}.log",
            **self.environment,
        )

    @contextmanager
    def worker(self, *options: str) -> Iterator[str]:
        """Run one more worker; its address."""
        port = free_port()
        with self._worker(port, *options) as worker:
            worker.serves(port)
            yield f"ws://127.0.0.1:{port}/ws/"

    def url(self, worker: int = 0) -> str:
        """Return the address of a worker."""
        return f"ws://127.0.0.1:{self.ports[worker]}/ws/"

    @property
    def both(self) -> tuple[str, ...]:
        """The arguments that name both workers."""
        return ("--url", self.url(), "--url", self.url(1))

    def manage(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a management command, with these variables in place of the deployment's."""
        return run_manage(*arguments, environ={**self.environment, **environ})

    def test(self, scenario: str, *arguments: str, **environ: str) -> LoadRun:
        """Run a load test, of the first worker if the arguments name none."""
        where = () if "--url" in arguments else ("--url", self.url())
        return LoadRun(self.manage("realtime", "loadtest", scenario, *where, *arguments, **environ))
