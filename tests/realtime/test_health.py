"""The health checks."""

from __future__ import annotations

from django.test import AsyncClient
from pytest_django import Settings

from demo.embedded import EmbeddedValkey, free_port
from tests.realtime.conftest import channel_layers


async def test_live_asks_nobody(settings: Settings) -> None:
    """The process lives, whatever Redis does; the answer is not cached."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[f"redis://127.0.0.1:{free_port()}"])
    response = await AsyncClient().get("/health/live")
    assert (response.status_code, response.json()) == (200, {"status": "live"})
    assert "no-store" in response["Cache-Control"]


async def test_ready_with_redis(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """With Redis there it is ready, and says how fast Redis answers."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    response = await AsyncClient().get("/health/ready")
    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "ready"
    [milliseconds] = body["redis_ms"].values()
    assert 0 < milliseconds < 1000


async def test_not_ready_without_redis(settings: Settings) -> None:
    """Without Redis it is not ready, names the server and not its password."""
    port = free_port()
    settings.CHANNEL_LAYERS = channel_layers(hosts=[f"redis://:secret@127.0.0.1:{port}"])
    response = await AsyncClient().get("/health/ready")
    assert response.status_code == 503
    [reason] = response.json()["reasons"]
    assert str(port) in reason
    assert "secret" not in reason


async def test_only_reading_is_allowed() -> None:
    """Health is asked with GET or HEAD."""
    assert (await AsyncClient().post("/health/live")).status_code == 405
    assert (await AsyncClient().head("/health/live")).status_code == 200
