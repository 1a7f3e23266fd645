"""From Kafka to rooms: the pool beside a loop that does one thing after the other."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from aiokafka import AIOKafkaProducer

from benchmarks.children import Child, Servant
from benchmarks.history.worker.publishing import SIZE
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.peers.ours.peer import OURS
from benchmarks.stamps import stamped
from benchmarks.valkey import valkey
from demo.embedded import EmbeddedTansu
from realtime.loadtest.process_look import cpu_ns

RATE = "Kafka to 200 rooms"
CPU = "Kafka to 200 rooms, CPU of the process"
POOL, BATCH, EACH = "pool", "batch", "each"

ROOMS = [f"room-{number}" for number in range(200)]
PARTITIONS = 8
WARM_UP = 400  # records
SHARE_OF_EACH = 20  # who publishes one by one gets so much less to do: it takes that much longer
PATIENCE = 60.0  # seconds
SESSION = "6000"  # milliseconds; the embedded broker has a first member wait for half of it


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaToRooms:
    """Each reader in turn finds the same records waiting; a member of each room counts them."""

    records: int = 60_000
    rounds: int = 3

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, records=1_000, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        readers = (POOL, BATCH, EACH)
        for round in range(1, self.rounds + 1):
            with EmbeddedTansu(directory=folder / f"kafka-{round}") as broker:
                for reader in readers if round % 2 else reversed(readers):
                    yield from self._slice(reader, round, broker, placement, folder)

    def _slice(
        self, reader: str, round: int, broker: EmbeddedTansu, placement: Placement, folder: Path
    ) -> Iterator[Figure]:
        topic = f"{reader}-{round}"
        records = self.records // (SHARE_OF_EACH if reader == EACH else 1)
        broker.create_topic(topic, partitions=PARTITIONS)
        with ExitStack() as stack:
            _, url = stack.enter_context(valkey(f"{topic}-valkey", placement.others, folder))
            listener = stack.enter_context(
                Servant(
                    f"{topic}-listener",
                    ["benchmarks.history.worker", "ours", url],
                    cpus=placement.others,
                    folder=folder,
                )
            )
            listener.ask("listen", PATIENCE, to="rooms", names=ROOMS)
            servers = broker.bootstrap_servers
            process = stack.enter_context(
                Child(
                    topic,
                    [sys.executable, "-m", *_command(reader, servers, topic, url)],
                    cpus=placement.server,
                    folder=folder,
                    environment={
                        **OURS.environment,
                        "REDIS_URL": url,
                        "KAFKA_BOOTSTRAP_SERVERS": servers,
                        "KAFKA_SESSION_TIMEOUT_MS": SESSION,
                    },
                )
            )
            asyncio.run(_produce(servers, topic, WARM_UP))
            if _heard(listener, WARM_UP) != WARM_UP:
                raise process.failure("does not publish")
            # It is to find them all there, and nobody else at work.
            with process.stopped():
                asyncio.run(_produce(servers, topic, records))
                cpu, begun = cpu_ns(process.pid), time.monotonic_ns()
            heard = _heard(listener, WARM_UP + records)
            cpu = cpu_ns(process.pid) - cpu
            seconds = (listener.ask("last", PATIENCE)["at"] - begun) / 1e9
        lost = WARM_UP + records - heard
        for measure, value, unit in (
            (RATE, records / seconds, "records/s"),
            (CPU, cpu / records / 1e3, "µs"),
        ):
            yield Figure(
                measure=measure,
                layer=reader,
                round=round,
                value=value,
                unit=unit,
                calls=records,
                lost=max(0, lost),
                repeated=max(0, -lost),
            )


def _command(reader: str, servers: str, topic: str, url: str) -> list[str]:
    if reader == POOL:
        return ["django", "runkafka", "--topics", topic, "--group", topic]
    return ["benchmarks.history.loop", reader, servers, topic, topic, url]


def _heard(listener: Servant, count: int) -> int:
    answer = listener.ask("heard", PATIENCE + 5, count=count, patience=PATIENCE)
    return int(answer["count"])


async def _produce(servers: str, topic: str, count: int) -> None:
    data = stamped(0, 0, SIZE)
    producer = AIOKafkaProducer(bootstrap_servers=servers, linger_ms=5)
    await producer.start()
    try:
        for number in range(count):
            room = ROOMS[number % len(ROOMS)]
            await producer.send(
                topic, data, key=room.encode(), partition=number % len(ROOMS) % PARTITIONS
            )
        await producer.flush()
    finally:
        await producer.stop()
