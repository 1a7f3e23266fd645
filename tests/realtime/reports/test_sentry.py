"""What fails in a worker or a pool comes to Sentry, by its own transport."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Origin

from demo.embedded import EmbeddedTansu, EmbeddedValkey, free_port
from tests.realtime.process import BIN, Process, manage
from tests.realtime.reports.sentry_server import SentryServer, sentry_server
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def sentry() -> Iterator[SentryServer]:
    """Where the SDK sends to."""
    with sentry_server() as server:
        yield server


def environ(sentry: SentryServer, redis: EmbeddedValkey, directory: Path) -> dict[str, str]:
    """Return the variables of a process that reports to it."""
    return {
        "DJANGO_SETTINGS_MODULE": "tests.realtime.reports.sentry_settings",
        "SENTRY_DSN": sentry.dsn,
        "REDIS_URL": redis.url,
        "DATABASE_URL": f"sqlite:///{directory}/db.sqlite3",
        "METRICS_DIRECTORY": str(directory / "metrics"),
    }


def test_errors_of_consumers_and_dead_tasks(
    sentry: SentryServer, redis_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """A consumer that raises, a rule that raises for a client, a task that dies: each with why."""
    port = free_port()
    command = [str(BIN / "shardlayer-daphne"), "-p", str(port)]
    command.append("tests.realtime.reports.broken_asgi:application")
    with Process(
        command, log=tmp_path / "worker.log", **environ(sentry, redis_server, tmp_path)
    ) as worker:
        worker.serves(port)
        for path in ("broken/", "task/", "ws/?room=guarded"):
            try:
                with connect(
                    f"ws://127.0.0.1:{port}/{path}", origin=Origin(f"http://127.0.0.1:{port}")
                ) as client:
                    client.recv(PATIENCE)
            except WebSocketException:  # nothing is served at the first two
                pass
        expected = {"the consumer is broken", "the task is dead", "the rule is broken"}
        wait_until(lambda: expected <= sentry.raised(), within=PATIENCE)
        assert expected <= sentry.raised(), worker.output()
    loggers = {event.get("logger") for event in sentry.events}
    assert "shardlayer.aio.tasks" in loggers


@pytest.mark.kafka
def test_errors_of_the_pool(
    sentry: SentryServer,
    redis_server: EmbeddedValkey,
    tmp_path: Path,
    kafka_broker: EmbeddedTansu,
) -> None:
    """What the project's route raises, once a minute, however many records it fails for."""
    topic = f"reported-{uuid4().hex[:8]}"
    kafka_broker.create_topic(topic, partitions=1)
    with Process(
        manage("runkafka", "--topics", topic, "--group", topic),
        log=tmp_path / "pool.log",
        KAFKA_BOOTSTRAP_SERVERS=kafka_broker.bootstrap_servers,
        **environ(sentry, redis_server, tmp_path),
    ) as pool:
        asyncio.run(_produce(kafka_broker.bootstrap_servers, topic))
        wait_until(lambda: "the route is broken" in sentry.raised(), within=PATIENCE)
        assert pool.stop() == 0, pool.output()
    assert sentry.raised() == {"the route is broken"}
    assert len(sentry.events) == 1
    frames = sentry.events[0]["exception"]["values"][-1]["stacktrace"]["frames"]
    assert frames[-1]["function"] == "broken_route"
    assert all("vars" not in frame for frame in frames)  # a payload would be in them


async def _produce(bootstrap: str, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for _ in range(20):
            await producer.send(topic, b"{}", headers=[("room", b"news")])
        await producer.flush()
