"""Workers of a deployment, as real processes, and what this one knows of them by Redis alone."""

from __future__ import annotations

from pathlib import Path

from demo.embedded import EmbeddedValkey, free_port
from tests.realtime.process import BIN, Process, manage

SETTINGS = "tests.realtime.operations.cluster_settings"
INTERVAL = 2.0  # seconds between reports there
LEASE = 3 * INTERVAL


class Deployment:
    """Processes on one Redis."""

    def __init__(self, redis: EmbeddedValkey, directory: Path) -> None:
        self.redis = redis
        self._directory = directory
        self._count = 0

    def process(self, command: list[str], **environ: str) -> Process:
        """Return a process of the project, not started."""
        self._count += 1
        return Process(
            command,
            log=self._directory / f"{self._count}.log",
            **{
                "DJANGO_SETTINGS_MODULE": SETTINGS,
                "REDIS_URL": self.redis.url,
                "DATABASE_URL": f"sqlite:///{self._directory}/db.sqlite3",
            }
            | environ,
        )

    def worker(self, *options: str) -> tuple[Process, int]:
        """Return a worker, not started, and its port."""
        port = free_port()
        command = [str(BIN / "shardlayer-daphne"), "-p", str(port), *options]
        return self.process([*command, "config.asgi:application"]), port

    def command(self, *arguments: str, **environ: str) -> Process:
        """Return a management command, not started."""
        return self.process(manage(*arguments), **environ)
