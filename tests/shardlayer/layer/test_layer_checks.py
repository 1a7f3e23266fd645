"""The system checks name what is wrong in CHANNEL_LAYERS, in every project that has them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings
from redis import Redis

from demo.embedded import EmbeddedValkey, free_port
from shardlayer.layer import layer_checks
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[3]
BACKEND = "shardlayer.layer.ShardedChannelLayer"
MEMORY = {"hosts": ["memory://checks"]}
MANAGE = """
import sys
from django.conf import settings
layer = {"BACKEND": "shardlayer.layer.ShardedChannelLayer", "CONFIG": {"shards": 0}}
settings.configure(
    CHANNEL_LAYERS={"default": layer},
    INSTALLED_APPS=sys.argv[1].split(),
    SECRET_KEY="-",
    ROOT_URLCONF="tests.tutorial.asgi",
    ASGI_APPLICATION="tests.tutorial.asgi.application",
)
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "check"])
"""


def channel_layers(**config: Any) -> dict[str, dict[str, Any]]:
    """Return a CHANNEL_LAYERS setting with that CONFIG."""
    return {"default": {"BACKEND": BACKEND, "CONFIG": config}}


def findings(settings: Settings, layers: Any) -> list[tuple[str | None, str]]:
    """Return ids and texts, hints included, of what the check of CHANNEL_LAYERS finds."""
    settings.CHANNEL_LAYERS = layers
    found = layer_checks.check_channel_layers(None)
    return [(item.id, f"{item.msg} {item.hint}") for item in found]


def checked(apps: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py check` of the Channels tutorial's project with 0 shards and these apps."""
    return subprocess.run(
        [sys.executable, "-c", MANAGE, apps],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "apps", ["shardlayer", "daphne channels shardlayer", "realtime", "realtime shardlayer"]
)
def test_project_is_checked(apps: str) -> None:
    """`manage.py check` finds a wrong CONFIG once, whichever of our apps a project names."""
    done = checked(apps)
    assert done.returncode == 1
    assert done.stderr.count("(shardlayer.E001)") == 1
    assert "shards is 0" in done.stderr
    assert "identified 1 issue " in done.stderr


@pytest.mark.parametrize("apps", ["", "daphne channels"])
def test_project_without_our_apps_is_not_checked(apps: str) -> None:
    """Neither Django nor Channels nor Daphne imports a BACKEND for a check: docs say to add us.

    When this fails, one of them does, and naming the app is no longer needed.
    """
    done = checked(apps)
    assert done.returncode == 0, done.stderr


def test_good_settings_are_not_found_fault_with(settings: Settings) -> None:
    """Right settings give no message, and no layer needs none."""
    assert findings(settings, channel_layers(**MEMORY)) == []
    assert findings(settings, {}) == []


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**MEMORY, "shard": 32}, "'shard'"),
        ({**MEMORY, "shards": 0}, "shards is 0"),
        ({**MEMORY, "shards": "32"}, "shards is '32'"),
        ({"hosts": ["redis://a:1", "redis://a:1"]}, "twice"),
        ({"hosts": 5}, "hosts is 5"),
        ({**MEMORY, "history": 5}, "history is 5"),
        ({**MEMORY, "serializer_format": "xml"}, "serializer_format"),
    ],
)
def test_layer_errors(settings: Settings, config: dict[str, Any], words: str) -> None:
    """Each wrong key of CONFIG is an error that names layer and key."""
    [(found, text)] = findings(settings, channel_layers(**config))
    assert found == "shardlayer.E001"
    assert "CHANNEL_LAYERS['default']['CONFIG']" in text
    assert words in text


@pytest.mark.parametrize(
    ("layers", "where"),
    [
        (5, "CHANNEL_LAYERS is"),
        ({"default": {}}, "CHANNEL_LAYERS['default']['BACKEND'] is wrong: it is missing"),
        ({"default": 5}, "CHANNEL_LAYERS['default']['BACKEND']"),
        ({"default": {"BACKEND": "no.such.Layer"}}, "CHANNEL_LAYERS['default']['BACKEND']"),
        ({"other": {"BACKEND": 5}}, "CHANNEL_LAYERS['other']['BACKEND']"),
        ({"default": {"BACKEND": BACKEND, "CONFIG": 5}}, "CHANNEL_LAYERS['default']['CONFIG']"),
    ],
)
def test_unusable_layer(settings: Settings, layers: Any, where: str) -> None:
    """A layer that can't be loaded is an error that says where."""
    [(found, text)] = findings(settings, layers)
    assert found == "shardlayer.E001"
    assert where in text


@pytest.mark.parametrize(
    ("beside", "words"),
    [
        ({"hosts": ["redis://10.0.0.9"]}, "'hosts' belongs in its 'CONFIG'"),
        ({"CONFIG": MEMORY, "shards": 32, "x": 1}, "'shards' belongs in its 'CONFIG'; 'x' is none"),
        ({"config": {}}, "'config' is none of its keys"),
        ({"ROUTING": "a.b"}, "'ROUTING' is none of its keys"),
        ({5: 1}, "5 is none of its keys"),
    ],
)
def test_keys_beside_config(settings: Settings, beside: dict[Any, Any], words: str) -> None:
    """Channels takes no notice of them; no server that nobody meant is asked."""
    [(found, text)] = findings(settings, {"default": {"BACKEND": BACKEND, **beside}})
    assert found == "shardlayer.E001"
    assert "CHANNEL_LAYERS['default'] is wrong" in text
    assert words in text
    assert "BACKEND, CONFIG, TEST_CONFIG" in text


def test_keys_that_channels_knows(settings: Settings) -> None:
    """TEST_CONFIG is one; a layer of another package may have others."""
    ours = {"BACKEND": BACKEND, "CONFIG": MEMORY, "TEST_CONFIG": MEMORY}
    other = {"BACKEND": "channels.layers.InMemoryChannelLayer", "hosts": ["a"]}
    assert findings(settings, {"default": ours, "other": other}) == []


def test_wrong_config_and_keys_beside_it(settings: Settings) -> None:
    """Both are told."""
    layer = {"BACKEND": BACKEND, "hosts": [], "CONFIG": {**MEMORY, "shards": 0}}
    found = findings(settings, {"default": layer})
    assert [id for id, _ in found] == ["shardlayer.E001"] * 2


def test_other_peoples_layers_are_let_alone(settings: Settings) -> None:
    """A layer of another package beside ours is not checked."""
    layers = channel_layers(**MEMORY) | {
        "other": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"shards": 0}}
    }
    assert findings(settings, layers) == []


def test_unreachable_redis_is_a_warning(settings: Settings) -> None:
    """Servers that don't answer are warnings with their addresses, without their passwords."""
    ports = free_port(), free_port()
    hosts = [f"redis://:secret@127.0.0.1:{port}" for port in ports]
    found = findings(settings, {"default": {"BACKEND": BACKEND, "CONFIG": {"hosts": hosts}}})
    assert [id for id, _ in found] == ["shardlayer.W001"] * 2
    assert str(ports[0]) in found[0][1]
    assert "secret" not in str(found)


@pytest.fixture
def patient_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is kept from its CPU is no server that can't be reached."""
    monkeypatch.setattr("shardlayer.broker.redis.server_report.PROBE_TIMEOUT", PATIENCE)


@pytest.mark.usefixtures("patient_probe")
def test_evicting_redis_is_a_warning(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """A server that may evict is a warning; one that may not is none."""
    layers = channel_layers(hosts=[redis_server.url])
    assert findings(settings, layers) == []
    with Redis.from_url(redis_server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            [(found, text)] = findings(settings, layers)
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert found == "shardlayer.W002"
    assert "allkeys-lru" in text


@pytest.mark.usefixtures("patient_probe")
def test_unbounded_redis_is_a_warning(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """A server whose memory has no bound is a warning; one with a bound is none."""
    layers = channel_layers(hosts=[redis_server.url])
    assert findings(settings, layers) == []
    with Redis.from_url(redis_server.url) as client:
        bound = client.config_get("maxmemory")["maxmemory"]
        client.config_set("maxmemory", 0)
        try:
            [(found, text)] = findings(settings, layers)
        finally:
            client.config_set("maxmemory", bound)
    assert found == "shardlayer.W003"
    assert "maxmemory 0" in text
