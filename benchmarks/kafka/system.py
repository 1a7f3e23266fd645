"""One side set up to be measured: Redis, workers, what reads Kafka, a producer and clients."""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis import Redis

from benchmarks.assembly import Assembly
from benchmarks.children import Child, ChildFailed, Servant
from benchmarks.connected_sockets import Connected, connected
from benchmarks.kafka.sides import Side
from benchmarks.kafka.slice_figures import Slice, Used
from benchmarks.swarm_process import open_clients, start_swarm
from benchmarks.valkey import valkey
from demo.embedded import free_port
from realtime.kafka.brokers import Brokers, make_topic
from realtime.loadtest.process_look import cpu_ns

PARTITIONS = 8
SIZE = 200  # bytes of a record's payload
PATIENCE = 60.0  # seconds for what is on its way to arrive
WARM_UP_RATE = 1_000.0  # records/s


class System(Assembly):
    """The processes of one side, up while the `with` block runs.

    Args:
        side: Which.
        name: For logs, and the name of the topic.
        servers: Kafka's address; empty: nothing reads Kafka, and a publisher takes its place.
        session: Milliseconds until the group gives up a consumer that fell silent.
        rooms: How many.
        clients: How many, spread evenly over rooms and workers.
        workers: How many.
        folder: For logs.
    """

    def __init__(
        self,
        side: Side,
        name: str,
        *,
        servers: str,
        session: int,
        rooms: int,
        clients: int,
        workers: int,
        folder: Path,
    ) -> None:
        self.side = side
        self.name = name
        self.rooms = rooms
        self.clients = clients
        self._servers = servers
        self._session = session
        self._workers_count = workers
        self._folder = folder
        self._next = 1  # number of the next message in each room
        # Where they run is left to the kernel, as where this runs in earnest.
        self._cpus = frozenset(os.sched_getaffinity(0))

    def _start(self, stack: ExitStack) -> None:
        self._redis, self._url = stack.enter_context(
            valkey(f"{self.name}-valkey", self._cpus, self._folder)
        )
        if self._servers:
            brokers = Brokers(servers=[self._servers], options={})
            asyncio.run(make_topic(brokers, self.name, partitions=PARTITIONS))
        ports = [free_port() for _ in range(self._workers_count)]
        self._workers = [
            stack.enter_context(self._child(f"worker-{port}", self.side.worker, port=port))
            for port in ports
        ]
        for worker, port in zip(self._workers, ports, strict=True):
            worker.wait_for_port(port)
        # Nobody is told of what arrived: its acks are never read.
        self._swarm, _ = start_swarm(
            stack, f"{self.name}-clients", cpus=self._cpus, folder=self._folder
        )
        for port in ports:
            self._open(port, self.clients // self._workers_count)
        if self._servers:
            self._producer = stack.enter_context(
                Servant(
                    f"{self.name}-producer",
                    ["benchmarks.kafka.producer", self._servers, self.name, str(self.rooms)],
                    cpus=self._cpus,
                    folder=self._folder,
                )
            )
            self._reader = (
                stack.enter_context(self._child("reader", self.side.reader))
                if self.side.reader
                else None
            )
        else:
            self._reader = self._producer = stack.enter_context(self._start_publisher())
        self._warm_up()

    def stream(self, count: int, rate: float) -> Slice:
        """Produce records, so many a second, and wait until the last has arrived."""
        self._expect()
        before, begun = self._used(), time.monotonic()
        sent_ms = self._produce(count, rate)
        return self._collect(count, before, begun, sent_ms)

    def backlog(self, count: int) -> Slice:
        """Have records wait in Kafka, then be read, and wait until the last has arrived.

        Raises:
            ValueError: The workers read Kafka themselves.
        """
        if self._reader is None:
            raise ValueError(f"{self.name} has no process that only reads Kafka")
        self._expect()
        with self._reader.stopped():
            sent_ms = self._produce(count, 0.0)
            before, begun = self._used(), time.monotonic()
        return self._collect(count, before, begun, sent_ms)

    def to_kafka(self) -> Connected:
        """Return the connections of this side's processes to Kafka."""
        readers = [self._reader] if self._reader else []
        port = int(self._servers.rpartition(":")[2])
        return connected((process.pid for process in (*readers, *self._workers)), port)

    def publish(self, count: int, rate: float, each: int) -> Slice:
        """Publish, without Kafka, so many messages with a call of publish_many; 1: of publish."""
        self._expect()
        before, begun = self._used(), time.monotonic()
        sent = self._producer.ask(
            "publish",
            count / rate + PATIENCE,
            first=self._next,
            count=count,
            rate=rate,
            each=each,
            size=SIZE,
        )
        return self._collect(count, before, begun, self._count(count, sent))

    def scripts(self) -> tuple[int, int]:
        """Return how many scripts Redis has run, and for how many microseconds."""
        with Redis.from_url(self._url) as redis:
            commands: dict[str, dict[str, int]] = redis.info("commandstats")
        found = [told for name, told in commands.items() if name.startswith("cmdstat_eval")]
        return sum(told["calls"] for told in found), sum(told["usec"] for told in found)

    def ping_ms(self, count: int, rate: float) -> float:
        """Return the median of the milliseconds that a PING of an idle process takes."""
        address = urlsplit(self._url)
        took = []
        with socket.create_connection((address.hostname, address.port)) as connection:
            for _ in range(count):
                time.sleep(1 / rate)
                begun = time.monotonic()
                connection.sendall(b"PING\r\n")
                connection.recv(64)
                took.append(time.monotonic() - begun)
        return statistics.median(took) * 1e3

    def _child(self, name: str, module: tuple[str, ...], port: int = 0) -> Child:
        words = [
            word.format(port=port, servers=self._servers, topic=self.name, redis=self._url)
            for word in module
        ]
        return Child(
            f"{self.name}-{name}",
            [self.side.python, "-m", *words],
            cpus=self._cpus,
            folder=self._folder,
            environment=self._environment(),
            directory=self.side.directory,
        )

    def _environment(self) -> dict[str, str]:
        return {
            **self.side.environment,
            "REDIS_URL": self._url,
            "KAFKA_BOOTSTRAP_SERVERS": self._servers,
            "KAFKA_SESSION_TIMEOUT_MS": str(self._session),
            "PYTHONPATH": str(self.side.directory),
        }

    def _start_publisher(self) -> Servant:
        script = Path(__file__).with_name("publisher.py")
        return Servant(
            f"{self.name}-publisher",
            [str(script), str(self.rooms)],
            python=(self.side.python, "-P"),
            cpus=self._cpus,
            folder=self._folder,
            environment=self._environment(),
            directory=self.side.directory,
        )

    def _open(self, port: int, count: int) -> None:
        greeting = replace(self.side.greeting, rooms=self.rooms)
        answer = open_clients(self._swarm, count, port=port, greeting=greeting)
        if answer["subscribed"] % count:
            raise ChildFailed(f"{self.name}: only {answer['subscribed']} clients are subscribed")

    def _warm_up(self) -> None:
        """Have one message reach each client, however long the reader takes to begin."""
        if self._servers:
            arrived = self.stream(self.rooms, WARM_UP_RATE)
        else:
            arrived = self.publish(self.rooms, WARM_UP_RATE, 100)
        if arrived.clients["lost"] or arrived.clients["misordered"]:
            raise (self._reader or self._workers[0]).failure(
                f"does not reach all clients: {arrived.clients}"
            )
        if self.side.is_layer:
            self._trust_registries()

    def _trust_registries(self) -> None:
        """Have the layer take its registries for old enough to name all nodes, as after a minute.

        Until then each publication is told to all nodes.
        """
        with Redis.from_url(self._url) as redis:
            for key in redis.scan_iter("*:born"):
                redis.set(key, 1)

    def _expect(self) -> None:
        self._swarm.ask(
            "expect", PATIENCE, first=self._next, burst=0, copies=self.clients // self.rooms
        )

    def _produce(self, count: int, rate: float) -> float:
        """Produce records, and return what `_count` does."""
        timeout = (count / rate if rate else 0.0) + PATIENCE
        sent = self._producer.ask(
            "produce", timeout, first=self._next, count=count, rate=rate, size=SIZE
        )
        return self._count(count, sent)

    def _count(self, count: int, sent: dict[str, Any]) -> float:
        """Count what was sent; return the milliseconds that it took, the median."""
        if sent["published"] != count or count % self.rooms:
            raise ValueError(f"{count} messages are not as many for each of {self.rooms} rooms")
        self._next += count // self.rooms
        return float(sent["p50_ms"])

    def _collect(self, count: int, before: Used, begun: float, sent_ms: float) -> Slice:
        arrived = self._swarm.ask("collect", PATIENCE + 5, published=count, timeout=PATIENCE)
        return Slice(
            published=count,
            used=self._used() - before,
            seconds=time.monotonic() - begun,
            clients=arrived,
            sent_ms=sent_ms,
        )

    def _used(self) -> Used:
        return Used(
            reader=cpu_ns(self._reader.pid) if self._reader else 0,
            redis=cpu_ns(self._redis.pid),
            workers=sum(cpu_ns(worker.pid) for worker in self._workers),
        )
