"""The table by which a backend is chosen."""

from __future__ import annotations

import re

import pytest

from shardlayer import register_scheme
from shardlayer.aio.tasks import Tasks
from shardlayer.broker.interface import Backend
from shardlayer.broker.memory.memory_broker import MemoryBackend
from shardlayer.broker.memory.store import MemoryServer
from shardlayer.broker.opening import open_backend
from shardlayer.broker.redis.redis_broker import RedisBackend
from shardlayer.core import schemes
from shardlayer.core.exceptions import ConfigurationError
from shardlayer.core.hosts import Host
from shardlayer.core.options import LayerOptions

OURS = "tests.shardlayer.core.test_schemes:open_ours"


class OwnBackend(MemoryBackend):
    """A backend of an application."""


def open_ours(options: LayerOptions, tasks: Tasks) -> Backend:
    return OwnBackend(options, MemoryServer())


def open_something(options: LayerOptions, tasks: Tasks) -> object:
    return object()


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgets after each test what it registered."""
    monkeypatch.setattr(schemes, "_schemes", dict(schemes._schemes))


async def opened(*hosts: object, **config: object) -> Backend:
    backend = open_backend(LayerOptions.from_config(hosts=list(hosts), **config), Tasks())
    await backend.aclose()
    return backend


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("redis://a", RedisBackend),
        ("rediss://a", RedisBackend),
        ("unix:///run/redis.sock", RedisBackend),
        (("a", 6379), RedisBackend),
        ({"master_name": "m", "sentinels": [("a", 1)]}, RedisBackend),
        ("memory://", MemoryBackend),
    ],
)
async def test_scheme_chooses_the_backend(host: object, kind: type[Backend]) -> None:
    """Whatever form an address has."""
    assert type(await opened(host)) is kind


async def test_another_backend_is_registered() -> None:
    """Once registered, its addresses are taken in every form that has a URL, and read by itself."""
    with pytest.raises(ConfigurationError):
        LayerOptions.from_config(hosts=["ours://a"])
    register_scheme("ours", opens=OURS)
    register_scheme("ours", opens=OURS)  # again is no error: settings may be read twice
    assert type(await opened("ours://a", "ours://b?whatever=1")) is OwnBackend
    assert type(await opened({"address": "ours://a", "whatever": 1})) is OwnBackend


def test_unknown_scheme_is_told_which_are_known() -> None:
    """Those that were registered, too."""
    register_scheme("ours", opens=OURS)
    known = re.escape("redis://, rediss://, unix://, memory://, ours://")
    with pytest.raises(ConfigurationError, match=f"'nats://a'.*{known}"):
        LayerOptions.from_config(hosts=["nats://a"])
    with pytest.raises(ConfigurationError, match=known):
        _ = Host(url="nats://a").scheme


@pytest.mark.parametrize(
    ("hosts", "config", "says"),
    [
        (["ours://a", "redis://b"], {}, "ours://a and redis://b.*different backends"),
        (["alone://a", "alone://b"], {}, "alone://a beside others; it must be the only one"),
        (["ours://a"], {"cluster": True}, "can't be a node of a Redis Cluster"),
    ],
)
def test_hosts_that_dont_go_together(
    hosts: list[str], config: dict[str, object], says: str
) -> None:
    """The error names them."""
    register_scheme("ours", opens=OURS)
    register_scheme("alone", opens=OURS, is_alone=True)
    with pytest.raises(ConfigurationError, match=says):
        LayerOptions.from_config(hosts=hosts, **config)


@pytest.mark.parametrize(
    ("name", "opens", "says"),
    [
        ("redis", OURS, "redis:// is shardlayer.*already"),
        ("ours", "some.module.function", "takes a 'module:function'"),
    ],
)
def test_registration_that_is_refused(name: str, opens: str, says: str) -> None:
    """Nobody takes the place of another by accident."""
    with pytest.raises(ConfigurationError, match=says):
        register_scheme(name, opens=opens)


async def test_what_is_no_backend_is_refused() -> None:
    """A layer needs all roles."""
    register_scheme("ours", opens="tests.shardlayer.core.test_schemes:open_something")
    with pytest.raises(ConfigurationError, match="opened a object, not a Backend"):
        await opened("ours://a")
