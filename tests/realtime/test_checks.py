"""The system checks name the setting that is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import CheckMessage
from pytest_django import Settings
from redis import Redis

from demo.embedded import EmbeddedValkey, free_port
from realtime.checks import check_channel_layers, check_realtime
from tests.realtime.conftest import BACKEND, channel_layers

MEMORY = {"hosts": ["memory://checks"]}


def realtime_findings(settings: Settings, values: Any) -> list[tuple[str | None, str]]:
    """Return ids and texts, hints included, of what the check of REALTIME finds."""
    settings.REALTIME = values
    return texts(check_realtime(None))


def layer_findings(settings: Settings, layers: Any) -> list[tuple[str | None, str]]:
    """Return ids and texts, hints included, of what the check of CHANNEL_LAYERS finds."""
    settings.CHANNEL_LAYERS = layers
    return texts(check_channel_layers(None))


def texts(found: list[CheckMessage]) -> list[tuple[str | None, str]]:
    """Return ids and texts of messages."""
    return [(item.id, f"{item.msg} {item.hint}") for item in found]


def test_good_settings_are_not_found_fault_with(settings: Settings) -> None:
    """Right settings give no message."""
    values = {"CLIENT_PUBLISH": ["a"], "AUTHORIZE": "tests.realtime.test_consumers.no_secrets"}
    assert realtime_findings(settings, values) == []
    assert layer_findings(settings, channel_layers(**MEMORY)) == []


@pytest.mark.parametrize(
    ("values", "id", "words"),
    [
        ({"MAX_ROOM_PER_CLIENT": 5}, "realtime.E001", "Did you mean 'MAX_ROOMS_PER_CLIENT'?"),
        ({"QQQ": 5}, "realtime.E001", "CLIENT_PUBLISH"),
        ("x", "realtime.E001", "dictionary"),
        ({"MAX_ROOMS_PER_CLIENT": "5"}, "realtime.E002", "Its default is 100."),
        ({"AUTHORIZE": "nowhere.at.all"}, "realtime.E003", "REALTIME['AUTHORIZE']"),
        ({"KAFKA_ROUTE": "realtime.kafka.records.nope"}, "realtime.E003", "KAFKA_ROUTE"),
    ],
)
def test_realtime_errors(settings: Settings, values: Any, id: str, words: str) -> None:
    """Each wrong setting of REALTIME is an error with a way out."""
    [(found, text)] = realtime_findings(settings, values)
    assert found == id
    assert words in text


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**MEMORY, "shard": 32}, "'shard'"),
        ({**MEMORY, "shards": 0}, "shards is 0"),
        ({**MEMORY, "shards": "32"}, "shards is '32'"),
        ({"hosts": ["redis://a:1", "redis://a:1"]}, "twice"),
        ({"hosts": 5}, "hosts is 5"),
        ({**MEMORY, "history": 5}, "history is 5"),
    ],
)
def test_layer_errors(settings: Settings, config: dict[str, Any], words: str) -> None:
    """Each wrong key of CONFIG is an error that names layer and key."""
    [(found, text)] = layer_findings(settings, channel_layers(**config))
    assert found == "realtime.E004"
    assert "CHANNEL_LAYERS['default']['CONFIG']" in text
    assert words in text


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ({}, "no 'default'"),
        ({"default": {}}, "BACKEND"),
        ({"default": {"BACKEND": "no.such.Layer"}}, "no"),
    ],
)
def test_missing_layer(settings: Settings, layers: Any, words: str) -> None:
    """Without a usable default layer nothing works, and it is said."""
    [(found, text)] = layer_findings(settings, layers)
    assert found == "realtime.E004"
    assert words in text


def test_other_peoples_layers_are_let_alone(settings: Settings) -> None:
    """A layer of another package beside ours is not checked."""
    layers = channel_layers(**MEMORY) | {
        "other": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"shards": 0}}
    }
    assert layer_findings(settings, layers) == []


def test_unreachable_redis_is_a_warning(settings: Settings) -> None:
    """Servers that don't answer are warnings with their addresses, without their passwords."""
    ports = free_port(), free_port()
    hosts = [f"redis://:secret@127.0.0.1:{port}" for port in ports]
    found = layer_findings(settings, {"default": {"BACKEND": BACKEND, "CONFIG": {"hosts": hosts}}})
    assert [id for id, _ in found] == ["realtime.W001"] * 2
    assert str(ports[0]) in found[0][1]
    assert "secret" not in str(found)


def test_evicting_redis_is_a_warning(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """A server that may evict is a warning; one that may not is none."""
    layers = channel_layers(hosts=[redis_server.url])
    assert layer_findings(settings, layers) == []
    with Redis.from_url(redis_server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            [(found, text)] = layer_findings(settings, layers)
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert found == "realtime.W002"
    assert "allkeys-lru" in text


def test_unbounded_redis_is_a_warning(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """A server whose memory has no bound is a warning; one with a bound is none."""
    layers = channel_layers(hosts=[redis_server.url])
    assert layer_findings(settings, layers) == []
    with Redis.from_url(redis_server.url) as client:
        bound = client.config_get("maxmemory")["maxmemory"]
        client.config_set("maxmemory", 0)
        try:
            [(found, text)] = layer_findings(settings, layers)
        finally:
            client.config_set("maxmemory", bound)
    assert found == "realtime.W003"
    assert "maxmemory 0" in text
