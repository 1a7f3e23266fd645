"""Every place that the layer runs on; each test of the suite runs on each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from shardlayer.backends.base import Backend
from shardlayer.engine import make_backend as backend_for
from shardlayer.options import LayerOptions
from tests.contract.places import PLACES, Place

MakeBackend = Callable[..., Backend]
"""Makes a backend; all that one test makes share a place. Takes options of the layer."""

NEEDS = {"tls": "redis-server"}


def _params() -> list[object]:
    return [
        pytest.param(name, marks=[pytest.mark.needs(NEEDS[name])] if name in NEEDS else [])
        for name in PLACES
    ]


# A module's: a place's servers are started once for all tests that run on it.
@pytest.fixture(scope="module", params=_params())
def running_place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A place whose servers are up."""
    with PLACES[request.param](tmp_path_factory.mktemp(request.param)) as place:
        yield place


@pytest.fixture
def place(running_place: Place) -> Place:
    """A place without data."""
    running_place.flush()
    return running_place


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
