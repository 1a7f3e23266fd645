"""`manage.py realtime targeted PERCENT`."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings
from redis import Redis

from demo.embedded import EmbeddedValkey, free_port
from tests.realtime.conftest import channel_layers
from tests.realtime.management.output import lines_of


def test_sets_every_shard(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """All 32 shards go by it from the next publication on."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    assert lines_of("realtime", "targeted", "25") == [
        "Targeted dispatch is on for 25 percent of the rooms."
    ]
    with Redis.from_url(redis_server.url) as redis:
        keys = list(redis.scan_iter(match="*:targeted"))
        assert len(keys) == 32
        assert set(redis.mget(keys)) == {b"25"}


def test_percentage_that_is_none(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """One line says what it takes."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    with pytest.raises(CommandError, match="from 0 to 100, not 101"):
        call_command("realtime", "targeted", "101")


def test_dead_server(settings: Settings) -> None:
    """One line names it."""
    port = free_port()  # held, and nobody listens on it
    settings.CHANNEL_LAYERS = channel_layers(hosts=[f"redis://127.0.0.1:{port}"])
    with pytest.raises(CommandError, match=f"127.0.0.1:{port}"):
        call_command("realtime", "targeted", "50")
