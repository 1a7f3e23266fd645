"""Layers for the tests of the Django app: one in memory, one on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from realtime.access.errands import drop_errands
from realtime.clients import catchup, failures
from realtime.people import client_presence, people_fields
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardedChannelLayer
from tests.realtime.open_rooms import OPEN_ROOMS

BACKEND = "shardlayer.layer.ShardedChannelLayer"

PATIENT = {"CHECK_TIMEOUT": 10}  # seconds: a busy machine is no dead server


def channel_layers(**config: Any) -> dict[str, dict[str, Any]]:
    """Return a CHANNEL_LAYERS setting with that CONFIG."""
    return {"default": {"BACKEND": BACKEND, "CONFIG": config}}


@pytest.fixture(autouse=True)
def open_rooms(settings: Settings) -> None:
    """Rooms that are open, unless a test sets REALTIME itself."""
    settings.REALTIME = settings.REALTIME | {"ROOMS": OPEN_ROOMS}


@pytest.fixture(autouse=True)
def errands_end_with_their_test(settings: Settings) -> Iterator[None]:
    """What a test has threads tell, such as that a user was deleted, is not told in the next."""
    yield
    drop_errands()


@pytest.fixture(autouse=True)
def each_test_logs_its_own_errors() -> None:
    """One that an earlier test logged, too, is not left out."""
    for module in (failures, catchup, client_presence, people_fields):
        module.log_failure.forget()


@pytest.fixture
async def memory_layer(settings: Settings) -> AsyncIterator[ShardedChannelLayer]:
    """The default layer, in this process's memory, without rooms."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[f"memory://{uuid4().hex}"])
    layer = sharded_layer()
    yield layer
    await layer.close()


@pytest.fixture
async def redis_layer(
    settings: Settings, redis_server: EmbeddedValkey
) -> AsyncIterator[ShardedChannelLayer]:
    """The default layer, on a real server without data; it gives up after five seconds."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url], publish_timeout=5.0)
    layer = sharded_layer()
    yield layer
    await layer.close()
