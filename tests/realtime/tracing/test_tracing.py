"""One trace from a request, or a record, through Redis to the node that delivers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from demo.embedded import EmbeddedTansu, EmbeddedValkey, free_port
from tests.realtime.process import BIN, ROOT, Process, manage
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{CALLER}-01"
NOT_SAMPLED = f"00-{TRACE}-{CALLER}-00"

Span = dict[str, Any]


class Traced(Process):
    """A process of the project that remembers its spans."""

    def __init__(
        self, command: list[str], redis: EmbeddedValkey, directory: Path, name: str, **environ: str
    ) -> None:
        self.spans_file = directory / f"{name}.spans"
        super().__init__(
            command,
            log=directory / f"{name}.log",
            DJANGO_SETTINGS_MODULE="tests.realtime.tracing.traced_settings",
            DATABASE_URL=f"sqlite:///{directory}/db.sqlite3",
            METRICS_DIRECTORY=str(directory / "metrics"),
            REDIS_URL=redis.url,
            SPANS=str(self.spans_file),
            **environ,
        )

    def spans(self, name: str = "shardlayer") -> list[Span]:
        """Stop it, and return the spans whose names begin so."""
        assert self.stop() == 0, self.output()
        assert "Traceback" not in self.output()
        lines = self.spans_file.read_text().splitlines()
        return [span for span in map(json.loads, lines) if span["name"].startswith(name)]


class TracedWorker(Traced):
    """A worker of the project."""

    def __init__(self, redis: EmbeddedValkey, directory: Path, name: str, **environ: str) -> None:
        self.port = free_port()
        command = [str(BIN / "shardlayer-daphne"), "-p", str(self.port)]
        command.append("tests.realtime.tracing.traced_asgi:application")
        super().__init__(command, redis, directory, name, **environ)

    def answers(self) -> None:
        """Return when it answers."""
        self.serves(self.port)

    @contextmanager
    def join(self, room: str) -> Iterator[ClientConnection]:
        """Have a client in a room inside the block."""
        origin = Origin(f"http://127.0.0.1:{self.port}")
        with connect(f"ws://127.0.0.1:{self.port}/ws/?room={room}", origin=origin) as client:
            assert "subscribed" in json.loads(client.recv(PATIENCE))
            yield client

    def post(self, path: str, data: str, **headers: str) -> None:
        """Send a request."""
        url = f"http://127.0.0.1:{self.port}/{path}/"
        request = Request(url, data=data.encode(), headers=headers, method="POST")
        with urlopen(request, timeout=PATIENCE) as response:
            assert response.read() == b"published"


@pytest.fixture
def pair(
    redis_server: EmbeddedValkey, tmp_path: Path
) -> Iterator[tuple[TracedWorker, TracedWorker]]:
    """A worker that is asked to publish, and one that has clients."""
    with (
        TracedWorker(redis_server, tmp_path, "publisher") as publisher,
        TracedWorker(redis_server, tmp_path, "node") as node,
    ):
        publisher.answers()
        node.answers()
        yield publisher, node


@pytest.mark.parametrize("view", ["publish", "apublish"])
def test_trace_goes_on_from_a_request_to_the_node_that_delivers(
    pair: tuple[TracedWorker, TracedWorker], view: str
) -> None:
    """One span for the publication and one for the node, whatever the number of clients."""
    publisher, node = pair
    with node.join("traced") as one, node.join("traced") as two, node.join("other") as other:
        publisher.post(f"{view}/traced", "first", traceparent=SAMPLED)
        publisher.post(f"{view}/traced", "second")
        publisher.post(f"{view}/traced", "third", traceparent=NOT_SAMPLED)
        publisher.post(f"{view}/other", "last", traceparent=SAMPLED)
        for client in (one, two):
            heard = [json.loads(client.recv(PATIENCE))["data"] for _ in range(3)]
            assert heard == ["first", "second", "third"]
        assert json.loads(other.recv(PATIENCE))["data"] == "last"
    delivered = [span for span in node.spans() if span["trace"] == TRACE]
    assert [span["name"] for span in delivered] == ["shardlayer deliver"] * 2
    first = delivered[0]
    assert first["kind"] == "CONSUMER"
    assert first["attributes"] == {
        "messaging.system": "shardlayer",
        "messaging.operation.type": "process",
        "messaging.destination.name": "traced",
        "shardlayer.offset": 1,
        "shardlayer.members": 2,
    }
    assert first["start"] <= first["end"]
    spans = publisher.spans("")
    published = [
        span for span in spans if span["name"] == "shardlayer publish" and span["trace"] == TRACE
    ]
    assert [span["attributes"]["messaging.destination.name"] for span in published] == [
        "traced",
        "other",
    ]
    assert first["parent"] == published[0]["id"]
    requests = {span["id"]: span for span in spans if span["kind"] == "SERVER"}
    assert requests[published[0]["parent"]]["parent"] == CALLER
    # A request that nobody has traced before begins a trace of its own, which goes on as well.
    assert len([span for span in spans if span["name"] == "shardlayer publish"]) == 3


def test_tracing_can_be_switched_off(redis_server: EmbeddedValkey, tmp_path: Path) -> None:
    """With TRACING False publishing and delivering have no spans."""
    with TracedWorker(redis_server, tmp_path, "worker", TRACING="0") as worker:
        worker.answers()
        with worker.join("traced") as client:
            worker.post("publish/traced", "first", traceparent=SAMPLED)
            assert json.loads(client.recv(PATIENCE))["data"] == "first"
        assert worker.spans() == []


@pytest.mark.kafka
def test_trace_goes_on_from_a_record(
    redis_server: EmbeddedValkey, tmp_path: Path, kafka_broker: EmbeddedTansu
) -> None:
    """The header names the trace; records without one, or with a broken one, have no span."""
    topic = f"traced-{uuid4().hex[:8]}"
    kafka_broker.create_topic(topic, partitions=1)
    with (
        TracedWorker(redis_server, tmp_path, "worker") as worker,
        Traced(
            manage("runkafka", "--topics", topic, "--group", topic),
            redis_server,
            tmp_path,
            "pool",
            KAFKA_BOOTSTRAP_SERVERS=kafka_broker.bootstrap_servers,
        ) as pool,
    ):
        worker.answers()
        with worker.join("machine.cpu") as client:
            asyncio.run(_produce(kafka_broker.bootstrap_servers, topic))
            heard = [json.loads(client.recv(PATIENCE))["data"] for _ in range(4)]
            assert heard == [1, 2, 3, 4]
        (published,) = pool.spans()
        (delivered,) = worker.spans()
    assert published["trace"] == delivered["trace"] == TRACE
    assert published["parent"] == CALLER
    assert delivered["parent"] == published["id"]
    assert published["attributes"]["shardlayer.kafka.topic"] == topic
    assert published["attributes"]["messaging.kafka.offset"] == 1
    assert published["status"] == "UNSET"


async def _produce(bootstrap: str, topic: str) -> None:
    """Write four records: one with a good trace, one with a broken one."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for number, traceparent in enumerate((None, SAMPLED, "00-broken-01", NOT_SAMPLED), 1):
            headers = [("room", b"machine.cpu")]
            if traceparent is not None:
                headers.append(("traceparent", traceparent.encode()))
            await producer.send_and_wait(topic, b"%d" % number, headers=headers)


WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Missing())
import django
django.setup()
import shardlayer.core.tracing as tracing
import realtime.lifespan, realtime.record_publisher
assert tracing.tracer is None
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
print("nothing")
"""


def test_nothing_is_imported_without_the_sdk() -> None:
    """No module of OpenTelemetry is there, and nobody is asked for a trace."""
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        cwd=ROOT,
        env={"DJANGO_SETTINGS_MODULE": "config.settings", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.stdout == "nothing\n", ran.stderr
