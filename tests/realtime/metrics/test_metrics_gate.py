"""`/metrics` in front of Django: whoever asks from this machine, by whatever name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from realtime.metrics.metrics_gate import MetricsGate
from realtime.metrics.slots import Slot
from realtime.metrics.snapshots import Snapshot, write_snapshot


async def ask(path: str, *, method: str = "GET", client: str = "127.0.0.1") -> list[dict[str, Any]]:
    """Return what is sent for a request; the application behind says 204."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(b"Host", b"10.0.0.1:8000")],  # none of ALLOWED_HOSTS
        "client": [client, 50000],
    }
    await MetricsGate(behind)(scope, None, send)
    return sent


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path) -> Path:
    """Where processes share their figures; this process has none, as it has no lifespan."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    settings.REALTIME = {**settings.REALTIME, "METRICS_DIRECTORY": str(tmp_path)}
    return tmp_path


@pytest.fixture
def worker(directory: Path) -> Iterator[None]:
    """Another process on this machine, with 7 connections."""
    slot = Slot(directory, "worker")
    write_snapshot(directory, Snapshot(role="worker", worker=0, figures={"connections": 7}))
    yield
    slot.release()


@pytest.mark.usefixtures("worker")
async def test_figures() -> None:
    """An address that Django would refuse gets them, in Prometheus' format."""
    start, body = await ask("/metrics")
    assert start["status"] == 200
    headers = dict(start["headers"])
    assert headers[b"content-type"].startswith(b"text/plain; version=")
    assert headers[b"content-length"] == b"%d" % len(body["body"])
    assert b'shardlayer_connections{role="worker",worker="0"} 7.0' in body["body"]


async def test_no_figures(directory: Path) -> None:
    """An `asgi.py` without lifespan is told so: an empty page would look like a system at rest."""
    start, body = await ask("/metrics")
    assert start["status"] == 503
    assert b"realtime.lifespan.lifespan" in body["body"]


@pytest.mark.usefixtures("worker")
async def test_head() -> None:
    """HEAD gets the same head and no body."""
    start, body = await ask("/metrics", method="HEAD")
    assert start["status"] == 200
    assert body["body"] == b""


async def test_strangers() -> None:
    """Others than this machine need the key."""
    start, _ = await ask("/metrics", client="192.0.2.1")
    assert start["status"] == 403


@pytest.mark.parametrize(
    ("path", "method"), [("/", "GET"), ("/metrics/more", "GET"), ("/metrics", "POST")]
)
async def test_everything_else_is_passed_on(path: str, method: str) -> None:
    """The application behind answers."""
    [start] = await ask(path, method=method)
    assert start["status"] == 204
