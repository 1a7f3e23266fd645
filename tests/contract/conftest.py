"""Every place that the layer runs on; each test of the suite runs on each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest

from shardlayer.broker.interface import Backend
from shardlayer.core.options import LayerOptions
from shardlayer.layer import ShardedChannelLayer
from shardlayer.layer.engine import make_backend as backend_for
from tests.contract.places import PLACES, Place

MakeBackend = Callable[..., Backend]
"""Makes a backend; all that one test makes share a place. Takes options of the layer."""

MakeLayer = Callable[..., ShardedChannelLayer]
"""Makes a layer of its own, as another process has it; all that one test makes share a place."""

NEEDS = {"tls": "redis-server"}


def _params() -> list[object]:
    return [
        pytest.param(name, marks=[pytest.mark.needs(NEEDS[name])] if name in NEEDS else [])
        for name in PLACES
    ]


@pytest.fixture(scope="session")
def running_places(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], Place]]:
    """Starts the servers of a place when a test first asks for it, and ends them with the tests."""
    running: dict[str, Place] = {}
    with ExitStack() as stack:

        def run(name: str) -> Place:
            if name not in running:
                directory = tmp_path_factory.mktemp(name)
                running[name] = stack.enter_context(PLACES[name](directory))
            return running[name]

        yield run


@pytest.fixture(params=_params())
def place(request: pytest.FixtureRequest, running_places: Callable[[str], Place]) -> Place:
    """A place whose servers are up, without data."""
    running = running_places(request.param)
    running.flush()
    return running


@pytest.fixture
async def make_backend(place: Place) -> AsyncIterator[MakeBackend]:
    """A maker of backends, closed after the test."""
    made: list[Backend] = []

    def make(**config: object) -> Backend:
        backend = backend_for(LayerOptions.from_config(**place.config, **config))
        made.append(backend)
        return backend

    yield make
    for backend in made:
        await backend.aclose()


@pytest.fixture
def backend(make_backend: MakeBackend) -> Backend:
    """One backend with the default options."""
    return make_backend()


@pytest.fixture
async def make_layer(place: Place) -> AsyncIterator[MakeLayer]:
    """A maker of layers, closed after the test."""
    made: list[ShardedChannelLayer] = []

    def make(**config: object) -> ShardedChannelLayer:
        layer = ShardedChannelLayer(**place.config, **config)
        made.append(layer)
        return layer

    yield make
    for layer in made:
        await layer.close()


@pytest.fixture
def layer(make_layer: MakeLayer) -> ShardedChannelLayer:
    """One layer in which channels hold three messages."""
    return make_layer(capacity=3)
