"""Both families of consumers, on every kind of channel layer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import channels.consumer
import channels.generic.websocket
import pytest
from channels.layers import get_channel_layer
from pytest_django import DjangoDbBlocker, Settings

import shardlayer.consumers

BASES: dict[str, Any] = {
    "stock": SimpleNamespace(
        AsyncConsumer=channels.consumer.AsyncConsumer,
        AsyncWebsocketConsumer=channels.generic.websocket.AsyncWebsocketConsumer,
        AsyncJsonWebsocketConsumer=channels.generic.websocket.AsyncJsonWebsocketConsumer,
    ),
    "ours": shardlayer.consumers,
}


@pytest.fixture(autouse=True)
def database_allowed(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let the consumers look at connections that other tests left open in asgiref's thread.

    Channels' own close old ones for every message; pytest-django would refuse even the look.
    """
    with django_db_blocker.unblock():
        yield


@pytest.fixture(params=BASES)
def bases(request: pytest.FixtureRequest) -> Any:
    """The classes to subclass, as attributes: Channels' own and ours, which behave alike."""
    return BASES[request.param]


@pytest.fixture(params=["memory", "redis", "channels"])
async def layer(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Any]:
    """The default channel layer: ours in memory, ours on Redis, Channels' in memory."""
    config: dict[str, Any] = {"BACKEND": "shardlayer.layer.ShardedChannelLayer"}
    if request.param == "channels":
        config["BACKEND"] = "channels.layers.InMemoryChannelLayer"
    elif request.param == "redis":
        config["CONFIG"] = {"hosts": [request.getfixturevalue("redis_server").url]}
    else:
        config["CONFIG"] = {"hosts": [f"memory://{uuid4().hex}"]}
    settings.CHANNEL_LAYERS = {"default": config}
    made = get_channel_layer()
    yield made
    await made.close()


@pytest.fixture
def no_layer(settings: Settings) -> None:
    """No channel layer is configured."""
    settings.CHANNEL_LAYERS = {}
