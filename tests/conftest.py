"""Fixtures that all tests share: real servers out of wheels, one of each per worker process."""

from __future__ import annotations

import gc
import signal
from collections import Counter
from collections.abc import Generator, Iterator
from uuid import uuid4

import hypothesis
import pytest
from redis import Redis

from demo.embedded import EmbeddedTansu, EmbeddedValkey
from tests import tools
from tests.apache_kafka import APACHE, ApacheKafka
from tests.postgresql import PostgreSQL

# On a busy machine an example takes as long as the others let it.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")

# A shell starts its background jobs with SIGINT ignored, and the servers that tests send it to
# would inherit that. What is handled here is not inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Have the contract suite run on the place of another broker: see docs/brokers.md."""
    parser.addoption(
        "--place",
        metavar="MODULE:FUNCTION",
        help="run tests/contract/ on this place alone, instead of on all of places.py",
    )


def pytest_collection_finish() -> None:
    """Leave the million objects of all tests out of later collections of garbage.

    On a busy machine a collection of them takes two seconds, in which each event loop stands still.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)  # pytest-xdist looks at the groups in this hook, too
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each file's tests in one process: what its fixtures start for a module starts once."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """One Valkey for all tests of this process; take `redis_server`, or `module_redis`."""
    with EmbeddedValkey(directory=tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def redis_server(valkey: EmbeddedValkey) -> EmbeddedValkey:
    """A running Valkey without data or connections: its `url`, `stop()`, and `start()` there."""
    return _emptied(valkey)


@pytest.fixture(scope="module")
def module_redis(valkey: EmbeddedValkey) -> EmbeddedValkey:
    """The same for fixtures of a module: whatever earlier tests left in it is gone."""
    return _emptied(valkey)


def _emptied(valkey: EmbeddedValkey) -> EmbeddedValkey:
    if not valkey.is_up():  # an earlier test stopped it
        valkey.stop()
        valkey.start()
    valkey.flush()
    with Redis.from_url(valkey.url) as redis:
        # A test may leave a layer with a thread in its process; the next one counts connections.
        for kind in ("normal", "pubsub"):
            redis.client_kill_filter(_type=kind, skipme=True)
    return valkey


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTansu]:
    """One Kafka broker for all tests of this process: its `bootstrap_servers`."""
    with EmbeddedTansu(directory=tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """One Apache Kafka for all tests of this process that leave it running."""
    with ApacheKafka(directory=tmp_path_factory.mktemp("apache-kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def stoppable_kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """One Apache Kafka for all tests of this process that stop it.

    It has their topics only: with those of all tests, a start takes three times as long.
    """
    with ApacheKafka(directory=tmp_path_factory.mktemp("stoppable-kafka")) as broker:
        yield broker


@pytest.fixture
def stoppable_kafka(stoppable_kafka_server: ApacheKafka) -> ApacheKafka:
    """A running Apache Kafka: `stop()`, `kill()` and `start()` keep its port, topics and groups."""
    if not stoppable_kafka_server.is_up():  # an earlier test stopped it
        stoppable_kafka_server.kill()
        stoppable_kafka_server.start()
    return stoppable_kafka_server


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    """One PostgreSQL for all tests of this process; tests take `postgresql`."""
    server = PostgreSQL()
    try:
        with server:
            yield server
    finally:
        server.remove()


@pytest.fixture
def postgresql(postgresql_server: PostgreSQL) -> PostgreSQL:
    """A running PostgreSQL: its `url`; `stop()` and `start()` keep its port and its data."""
    if postgresql_server.pid is None:  # an earlier test stopped it
        postgresql_server.start()
    return postgresql_server


@pytest.fixture(
    params=[pytest.param("kafka_broker", id="tansu"), pytest.param("apache_kafka", marks=APACHE)]
)
def any_kafka(request: pytest.FixtureRequest) -> EmbeddedTansu | ApacheKafka:
    """Each kind of broker in turn."""
    broker: EmbeddedTansu | ApacheKafka = request.getfixturevalue(request.param)
    return broker


@pytest.fixture
def kafka_topic(kafka_broker: EmbeddedTansu) -> str:
    """The name of a new topic with 8 partitions."""
    name = f"topic-{uuid4().hex[:12]}"
    kafka_broker.create_topic(name, partitions=8)
    return name


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out a test whose program is missing; in continuous integration, fail it."""
    needed = [tool for mark in item.iter_markers("needs") for tool in mark.args]
    if item.get_closest_marker("browser"):
        needed.append("chromium")
    missing = [tool for tool in needed if tools.find(tool) is None]
    if missing:
        reason = f"{' and '.join(missing)} not installed"
        if tools.must_have_all():
            pytest.fail(f"{reason}, and CI leaves nothing out", pytrace=False)
        pytest.skip(tools.LEFT_OUT + reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Have what a test logged be text that can be sent: a half surrogate pair ended whole runs."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was left out."""
    skips = (str(report.longrepr) for report in terminalreporter.getreports("skipped"))
    reasons = Counter(
        text.partition(tools.LEFT_OUT)[2].rstrip("')") for text in skips if tools.LEFT_OUT in text
    )
    if reasons:
        counted = ", ".join(f"{count} tests ({reason})" for reason, count in reasons.items())
        terminalreporter.write_line(f"Left out: {counted}.")
