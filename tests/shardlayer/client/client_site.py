"""A worker of the project in a process of its own, for a Python client."""

from __future__ import annotations

import signal
from pathlib import Path

from demo.embedded import free_port
from shardlayer.client import RoomClient
from tests.realtime.process import BIN, Process, run_manage

PATIENCE = 60.0  # seconds

USER = """
from django.contrib.auth.models import User
from realtime.tokens import issue_token
from tests.realtime.users import cookie_of
ada = User.objects.create_user("ada", password="x")
print("token", issue_token(ada))
print("cookie", cookie_of(ada).partition("; ")[2])
"""


class ClientSite:
    """A `shardlayer-daphne` that can be killed and started again on its port."""

    def __init__(self, redis_url: str, folder: Path) -> None:
        self._folder = folder
        self._environ = {
            "DJANGO_SETTINGS_MODULE": "tests.shardlayer.client.small_history_settings",
            "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
            "REDIS_URL": redis_url,
            "DEBUG": "1",
        }
        self._port = free_port()
        self._worker: Process | None = None
        self.url = f"ws://127.0.0.1:{self._port}/ws/"

    def start(self) -> None:
        """Start the worker; return when it answers."""
        command = [
            *(str(BIN / "shardlayer-daphne"), "-b", "127.0.0.1", "-p", str(self._port)),
            "config.asgi:application",
        ]
        worker = Process(command, log=self._folder / "worker.log", **self._environ)
        self._worker = worker.__enter__()
        worker.serves(self._port)

    def kill(self) -> None:
        """Kill the worker, which has no time to say anything."""
        assert self._worker is not None
        self._worker.stop(signal.SIGKILL)

    def stop(self) -> None:
        """Stop the worker in order."""
        if self._worker is not None:
            self._worker.stop()

    def manage(self, *command: str) -> list[str]:
        """Run a management command; return the lines that it wrote."""
        done = run_manage(*command, environ=self._environ)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def client(self, **options: object) -> RoomClient:
        """Return a client of the worker, patient with a busy machine."""
        options = {"timeout": PATIENCE, "connect_options": {"proxy": None}} | options
        return RoomClient(self.url, **options)  # type: ignore[arg-type]
