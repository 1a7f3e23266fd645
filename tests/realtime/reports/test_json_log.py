"""The log as JSON: what a worker and a pool tell of starts, stops, refusals and closes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from demo.embedded import EmbeddedValkey, free_port
from tests.realtime.process import BIN, Process
from tests.waiting import PATIENCE, wait_until

SECRET = "the payload that no log may have"

Line = dict[str, Any]


class JsonWorker(Process):
    """A worker whose log lines are JSON."""

    def __init__(self, redis: EmbeddedValkey, directory: Path, **environ: str) -> None:
        self.port = free_port()
        command = [str(BIN / "shardlayer-daphne"), "-v", "0", "-p", str(self.port)]
        command.append("config.asgi:application")
        super().__init__(
            command,
            log=directory / "worker.log",
            REDIS_URL=redis.url,
            DATABASE_URL=f"sqlite:///{directory}/db.sqlite3",
            METRICS_DIRECTORY=str(directory / "metrics"),
            **environ,
        )

    def answers(self) -> None:
        """Return when it answers."""
        self.serves(self.port)

    @contextmanager
    def connect(self, query: str = "", origin: str = "") -> Iterator[ClientConnection]:
        """Have a WebSocket inside the block."""
        own = f"http://127.0.0.1:{self.port}"
        url = f"ws://127.0.0.1:{self.port}/ws/?{query}"
        with connect(url, origin=Origin(origin or own)) as client:
            yield client

    def lines(self, event: str = "") -> list[Line]:
        """Return what it logged; of one event, or all."""
        lines: list[Line] = [json.loads(line) for line in self.output().splitlines()]
        return [line for line in lines if not event or line.get("event") == event]

    def line(self, event: str, holds: Callable[[Line], bool]) -> Line:
        """Wait for a line and return it."""
        wait_until(lambda: any(map(holds, self.lines(event))), within=PATIENCE)
        return next(filter(holds, self.lines(event)))


def test_worker_tells_of_starts_refusals_and_closes(
    redis_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """Each line of the log is an object; each event has its fields, and nothing that was sent."""
    with JsonWorker(redis_server, tmp_path, LOG_JSON="1") as worker:
        worker.answers()
        with worker.connect(f"room=chat.x&token={quote(SECRET)}") as client:
            client.send(json.dumps({"id": 1, "publish": {"room": "chat.x", "data": SECRET}}))
            for _ in range(2):
                client.recv(PATIENCE)
            client.close(4100, "had enough")
        by_client = worker.line("closed", lambda line: line["code"] == 4100)
        assert by_client["reason"] == "had enough"
        assert by_client["by"] == "client"
        assert by_client["client"] == "127.0.0.1"
        assert by_client["path"] == "/ws/"
        assert by_client["seconds"] >= 0
        with worker.connect("room=chat.x") as client:
            client.send(b"binary")
            with suppress(ConnectionClosed):
                while True:
                    client.recv(PATIENCE)
        by_server = worker.line("closed", lambda line: line["by"] == "server")
        assert by_server["code"] == 1003
        assert by_server["reason"] == "binary frames are not understood"
        with pytest.raises(InvalidStatus), worker.connect(origin="http://elsewhere.example"):
            pass
        refused = worker.line("refused", lambda line: line["status"] == 403)
        assert refused["reason"] == "pages of this origin may not connect"
        assert refused["client"] == "127.0.0.1"
        http = HTTPConnection("127.0.0.1", worker.port, timeout=PATIENCE)
        http.request("GET", "/", headers={"Upgrade": "websocket", "Connection": "upgrade"})
        assert http.getresponse().status == 400
        http.close()
        worker.line("refused", lambda line: line["status"] == 400)
        assert worker.stop() == 0
    (started,) = worker.lines("started")
    assert started["role"] == "worker"
    (stopped,) = worker.lines("stopped")
    assert stopped["role"] == "worker"
    assert stopped["seconds"] > 0
    for line in worker.lines():
        assert {"time", "level", "logger", "message", "process"} <= set(line)
        assert line["process"] == worker.pid
    assert SECRET not in worker.output()
    assert quote(SECRET) not in worker.output()


def test_events_are_not_told_by_default(redis_server: EmbeddedValkey, tmp_path: Path) -> None:
    """A line for each client is nothing that everybody wants."""
    with JsonWorker(redis_server, tmp_path) as worker:
        worker.answers()
        with worker.connect("room=chat.x") as client:
            client.recv(PATIENCE)
        assert worker.stop() == 0
        assert "closed" not in worker.output()
        assert "started" not in worker.output()
