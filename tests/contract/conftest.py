"""Every place that the layer runs on; each test of the suite runs on each.

Another broker has the tests of its roles run on a place of its own: see `--place` in
tests/conftest.py, and docs/brokers.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from shardlayer.aio.tasks import Tasks
from shardlayer.broker.interface import Backend, Broker
from shardlayer.core.options import LayerOptions
from shardlayer.layer import ShardedChannelLayer
from tests.contract.asking import BrokerWithLeases, BrokerWithPresence, BrokerWithQueues
from tests.contract.places import PLACES, Place

MakeBackend = Callable[..., Backend]
"""Makes a backend; all that one test makes share a place. Takes options of the layer."""

MakeBroker = Callable[..., Broker]
MakeLeases = Callable[..., BrokerWithLeases]
MakeQueues = Callable[..., BrokerWithQueues]
MakePresence = Callable[..., BrokerWithPresence]
"""Make the same, of which a test uses one role."""

MakeLayer = Callable[..., ShardedChannelLayer]
"""Makes a layer of its own, as another process has it; all that one test makes share a place."""

HERE = Path(__file__).parent
NEEDS = {"tls": "redis-server"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that takes a place on all of them, or on the one that the command names."""
    marks = metafunc.definition.iter_markers("parametrize")
    has_own = any(mark.args[0] == "place" for mark in marks)
    if "place" in metafunc.fixturenames and not has_own:
        metafunc.parametrize("place", _params(metafunc.config), indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each place's tests in one process: its servers, 44 in all, run once."""
    for item in items:
        if not isinstance(item, pytest.Function) or HERE not in item.path.parents:
            continue
        params = item.callspec.params if hasattr(item, "callspec") else {}
        if "place" in params and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(f"contract-{params['place']}"))


def _params(config: pytest.Config) -> list[object]:
    if own := config.getoption("--place"):
        return [own]
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
                module, _, function = name.partition(":")
                start = getattr(import_module(module), function) if function else PLACES[name]
                directory = tmp_path_factory.mktemp(function or name)
                running[name] = stack.enter_context(start(directory))
            return running[name]

        yield run


@pytest.fixture
def place(request: pytest.FixtureRequest, running_places: Callable[[str], Place]) -> Place:
    """A place whose servers are up, without data."""
    running = running_places(request.param)
    running.flush()
    return running


@pytest.fixture
async def make_role(place: Place) -> AsyncIterator[Callable[..., Any]]:
    """A maker of what the place's scheme opens, whichever roles it has; closed after the test."""
    made: list[Broker] = []
    tasks = Tasks()

    def make(**config: object) -> Broker:
        options = LayerOptions.from_config(**place.config, **config)
        opened: Broker = options.hosts[0].scheme.load()(options, tasks)
        made.append(opened)
        return opened

    yield make
    for opened in made:
        await opened.aclose()
    await tasks.aclose()


@pytest.fixture
def make_broker(make_role: MakeBroker) -> MakeBroker:
    """A maker of brokers."""
    return make_role


@pytest.fixture
def make_leases(make_role: MakeLeases) -> MakeLeases:
    """A maker of brokers with leases."""
    return make_role


@pytest.fixture
def make_queues(make_role: MakeQueues) -> MakeQueues:
    """A maker of brokers with queues."""
    return make_role


@pytest.fixture
def make_presence(make_role: MakePresence) -> MakePresence:
    """A maker of brokers that know who is in which rooms."""
    return make_role


@pytest.fixture
def make_backend(make_role: MakeBackend) -> MakeBackend:
    """A maker of backends, with all roles."""
    return make_role


@pytest.fixture
def broker(make_broker: MakeBroker) -> Broker:
    """One broker with the default options."""
    return make_broker()


@pytest.fixture
def queues(make_queues: MakeQueues) -> BrokerWithQueues:
    """One broker with queues and the default options."""
    return make_queues()


@pytest.fixture
def presence(make_presence: MakePresence) -> BrokerWithPresence:
    """One broker with presence and the default options."""
    return make_presence()


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
