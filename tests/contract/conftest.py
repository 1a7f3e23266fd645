"""Every place that a backend runs on; each test of the suite runs on each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from realtime.embedded import EmbeddedValkey
from shardlayer.backends.base import Backend
from shardlayer.backends.memory import MemoryBackend, server
from shardlayer.backends.redis import RedisBackend
from shardlayer.options import LayerOptions

MakeBackend = Callable[..., Backend]
"""Makes a backend; all that one test makes share a place. Takes options of the layer."""


@pytest.fixture(params=["memory", "redis"])
async def make_backend(request: pytest.FixtureRequest) -> AsyncIterator[MakeBackend]:
    """A maker of backends, closed after the test."""
    made: list[Backend] = []
    memory_url = f"memory://{uuid4().hex}"
    if request.param == "redis":
        valkey: EmbeddedValkey = request.getfixturevalue("redis_server")

    def make(**config: object) -> Backend:
        backend: Backend
        if request.param == "memory":
            options = LayerOptions.from_config(hosts=[memory_url], **config)
            backend = MemoryBackend(options, server(memory_url))
        else:
            backend = RedisBackend(LayerOptions.from_config(hosts=[valkey.url], **config))
        made.append(backend)
        return backend

    yield make
    for backend in made:
        await backend.aclose()


@pytest.fixture
def backend(make_backend: MakeBackend) -> Backend:
    """One backend with the default options."""
    return make_backend()
