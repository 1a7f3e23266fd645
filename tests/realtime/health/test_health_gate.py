"""The health checks in front of Django."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realtime.health.health_gate import HealthGate
from shardlayer import ShardedChannelLayer


async def ask(path: str, *, method: str = "GET", **scope: Any) -> tuple[int, bytes]:
    """Return status and body; what Django would be asked has the status 299."""
    sent: list[dict[str, Any]] = []

    async def django(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 299})
        await send({"type": "http.response.body", "body": b"page"})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    whole = {"type": "http", "method": method, "path": path, "headers": [], **scope}
    await HealthGate(django)(whole, receive, send)
    start, body = sent
    if start["status"] != 299:
        headers = dict(start["headers"])
        assert headers[b"cache-control"] == b"no-store"
    return start["status"], body["body"]


@pytest.mark.parametrize("path", ["/health", "/health/", "/health/ready"])
async def test_ready(path: str, memory_layer: ShardedChannelLayer) -> None:
    """A stranger hears the status, and this machine the rest."""
    status, body = await ask(path, client=["192.0.2.1", 1])
    assert (status, json.loads(body)) == (200, {"status": "ready"})
    status, body = await ask(path, client=["127.0.0.1", 1])
    assert set(json.loads(body)) == {"status", "degraded", "redis_ms", "reasons"}
    forwarded = [(b"X-Forwarded-For", b"192.0.2.1")]
    status, body = await ask(path, client=["127.0.0.1", 1], headers=forwarded)
    assert json.loads(body) == {"status": "ready"}


async def test_live_below_a_root_path() -> None:
    """The address is the one below the root path, and HEAD has no body."""
    assert await ask("/base/health/live", root_path="/base") == (200, b'{"status":"live"}')
    assert await ask("/health/live", method="HEAD") == (200, b"")


@pytest.mark.parametrize(
    ("path", "method"), [("/", "GET"), ("/healthy", "GET"), ("/health", "POST")]
)
async def test_anything_else_is_djangos(path: str, method: str) -> None:
    """Other addresses, and requests that would change something."""
    assert await ask(path, method=method) == (299, b"page")
