"""A CONFIG that was written for channels_redis is understood as it stands."""

from __future__ import annotations

import asyncio
import inspect
import re
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from channels.layers import channel_layers, get_channel_layer
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer, RedisPubSubLoopLayer
from django.test import override_settings

from demo.embedded import EmbeddedValkey
from shardlayer.core.exceptions import ConfigurationError
from shardlayer.layer import ShardedChannelLayer
from tests.waiting import PATIENCE

# What channels_redis takes, by what it takes itself: all of it is asked for by name there.
ITS_OPTIONS = {
    name
    for take in (RedisChannelLayer, RedisPubSubChannelLayer, RedisPubSubLoopLayer)
    for name, parameter in inspect.signature(take).parameters.items()
    if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
} - {"channel_layer"}  # which its layer passes to its own parts

VALUES: dict[str, Any] = {
    "hosts": [("127.0.0.1", 6379)],
    "prefix": "asgi",
    "expiry": 30,
    "group_expiry": 3600,
    "capacity": 1500,
    "channel_capacity": {"http.request": 200, re.compile(r"^websocket.send\!.+"): 20},
    "symmetric_encryption_keys": ["secret"],
    "serializer_format": "json",
    "on_disconnect": "redis.disconnect",
    "on_reconnect": "redis.reconnect",
}
WITHOUT_MEANING = {"random_prefix_length": 12}


@pytest.fixture
async def make_layer() -> AsyncIterator[Callable[..., ShardedChannelLayer]]:
    """A maker of layers, closed after the test."""
    made: list[ShardedChannelLayer] = []

    def make(**config: Any) -> ShardedChannelLayer:
        made.append(ShardedChannelLayer(**config))
        return made[-1]

    yield make
    for layer in made:
        await layer.close()


def test_every_option_of_channels_redis_is_accepted() -> None:
    """Those of both its layers, side by side, change what they say or nothing, without a word."""
    assert set(VALUES) | set(WITHOUT_MEANING) == ITS_OPTIONS
    options = ShardedChannelLayer(**VALUES).options
    for name, value in VALUES.items():
        if name != "hosts":
            assert getattr(options, name) == value
    assert [host.url for host in options.hosts] == ["redis://127.0.0.1:6379"]


def test_none_is_the_default() -> None:
    """As channels_redis has it for most of its options."""
    assert ShardedChannelLayer(**dict.fromkeys(ITS_OPTIONS)).options == (
        ShardedChannelLayer().options
    )


def test_option_without_meaning_is_accepted_with_one_warning() -> None:
    """It says why the option has no effect."""
    with pytest.warns(RuntimeWarning, match="random_prefix_length has no effect: ") as caught:
        ShardedChannelLayer(**WITHOUT_MEANING)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ShardedChannelLayer()


def test_unknown_option_is_an_error_that_lists_the_options() -> None:
    """A key that channels_redis does not know either."""
    with pytest.raises(ConfigurationError, match="no key 'hots'") as caught:
        ShardedChannelLayer(hots=[])
    for name in VALUES:
        assert name in str(caught.value)


def test_unknown_serializer_is_an_error_at_start() -> None:
    """It names the formats there are."""
    with pytest.raises(ConfigurationError, match=r"'yaml'.*msgpack, json"):
        ShardedChannelLayer(serializer_format="yaml")


def test_one_key_that_is_no_list_is_an_error() -> None:
    """As in channels_redis, which would take each letter for a key."""
    with pytest.raises(ConfigurationError, match="list of keys"):
        ShardedChannelLayer(symmetric_encryption_keys="secret")


HOSTS: dict[str, Callable[[str, int], object]] = {
    "URL": lambda host, port: f"redis://{host}:{port}",
    "URL with a database": lambda host, port: f"redis://{host}:{port}/1",
    "pair": lambda host, port: (host, port),
    "address": lambda host, port: {"address": f"redis://{host}:{port}", "db": 2},
    "more arguments": lambda host, port: {
        "address": f"redis://{host}:{port}",
        "health_check_interval": 30,
        "socket_keepalive": True,
    },
    "host and port": lambda host, port: {"host": host, "port": port, "db": 3},
}


@pytest.mark.parametrize("form", HOSTS)
async def test_hosts_of_every_form_are_reached(
    redis_server: EmbeddedValkey, make_layer: Callable[..., ShardedChannelLayer], form: str
) -> None:
    """Each form of `hosts` leads to a server that answers."""
    host, _, port = redis_server.address.partition(":")
    layer = make_layer(hosts=[HOSTS[form](host, int(port))])
    await layer.send("tasks", {"type": "x"})
    assert await layer.receive("tasks") == {"type": "x"}


async def test_databases_of_one_server_serve_as_hosts(
    redis_server: EmbeddedValkey, make_layer: Callable[..., ShardedChannelLayer]
) -> None:
    """Ten databases of one server, as channels_redis' own tests have it: groups of a hundred."""
    layer = make_layer(hosts=[f"{redis_server.url}/{number}" for number in range(10)])
    for size in (1, 10, 100):
        channels = [await layer.new_channel(f"channel{number}") for number in range(size)]
        for channel in channels:
            await layer.group_add(f"group.{size}", channel)
        await layer.group_send(f"group.{size}", {"type": "message.1"})
        for channel in channels:
            async with asyncio.timeout(PATIENCE):
                assert await layer.receive(channel) == {"type": "message.1"}


async def test_channels_are_told_of_a_lost_server(
    redis_server: EmbeddedValkey, make_layer: Callable[..., ShardedChannelLayer]
) -> None:
    """on_disconnect and on_reconnect: one message each, to every process-local channel, once.

    GroupMembers go on by themselves.
    """
    layer = make_layer(
        hosts=[redis_server.url], on_disconnect="redis.gone", on_reconnect="redis.back"
    )
    channels = [await layer.new_channel() for _ in range(2)]
    for channel in channels:
        await layer.group_add("g", channel)
    redis_server.stop()
    for channel in channels:
        async with asyncio.timeout(PATIENCE):
            assert await layer.receive(channel) == {"type": "redis.gone"}
    redis_server.start()
    for channel in channels:
        async with asyncio.timeout(PATIENCE):
            assert await layer.receive(channel) == {"type": "redis.back"}
    await layer.group_send("g", {"type": "x"})
    for channel in channels:
        async with asyncio.timeout(PATIENCE):
            assert await layer.receive(channel) == {"type": "x"}


def test_layer_manager_makes_the_layer_and_a_test_layer() -> None:
    """get_channel_layer, TEST_CONFIG and changed settings work as with Channels' own layer."""
    backend = "shardlayer.layer.ShardedChannelLayer"
    settings = {
        "default": {
            "BACKEND": backend,
            "CONFIG": {"hosts": ["memory://manager"]},
            "TEST_CONFIG": {"hosts": ["memory://manager"], "expiry": 100500},
        }
    }
    with override_settings(CHANNEL_LAYERS=settings):
        layer = get_channel_layer()
        assert isinstance(layer, ShardedChannelLayer)
        assert get_channel_layer() is layer
        assert channel_layers.make_test_backend("default").expiry == 100500
        assert {"groups", "flush"} <= set(layer.extensions)
    assert get_channel_layer() is not layer


@pytest.mark.parametrize(
    "name",
    [
        "send",
        "receive",
        "new_channel",
        "group_add",
        "group_discard",
        "group_send",
        "flush",
        "close",
    ],
)
def test_methods_are_coroutine_functions(name: str) -> None:
    """What Channels awaits can be told from what it must not."""
    assert inspect.iscoroutinefunction(getattr(ShardedChannelLayer, name))
