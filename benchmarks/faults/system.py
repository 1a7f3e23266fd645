"""The whole system: two Redis, two workers, a pool, Kafka, those who publish and the clients."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks.assembly import Assembly
from benchmarks.children import Child, Servant
from benchmarks.faults.brokers import APACHE, Broker, make_broker
from benchmarks.faults.plan import Plan
from benchmarks.faults.sources.base import KAFKA, LAYER
from benchmarks.peers.ours.peer import OURS
from demo.embedded import EmbeddedValkey, free_port

ALWAYS, EVERYSEC, SNAPSHOTS = "always", "everysec", "snapshots"
DISKS = {
    ALWAYS: ("--appendonly", "yes", "--appendfsync", "always"),
    EVERYSEC: ("--appendonly", "yes", "--appendfsync", "everysec"),
    SNAPSHOTS: ("--appendonly", "no"),
}
"""How a Redis keeps its data: the arguments that make it."""

WORKERS = 2
REDISES = 2
PARTITIONS = 8
CONSUMERS = 2
TOPIC = "events"

_START = 60.0  # seconds
_ANSWER = 30.0  # seconds
_ACKNOWLEDGED = 90.0  # seconds for what is under way when the publishing ends
_ARRIVED = 30.0  # seconds for what is on its way to the clients


class System(Assembly):
    """Its processes, up while the `with` block runs.

    Worker 0 reaches Redis 0 through `proxy`.

    Args:
        plan: How large it is.
        broker: A kind of benchmarks.faults.brokers.
        folder: For data and logs.
        seed: Decides what the clients leave to chance.
        disks: How each Redis server keeps its data, of DISKS.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        broker: str,
        folder: Path,
        seed: int,
        disks: Sequence[str] = (ALWAYS,) * REDISES,
    ) -> None:
        self.plan = plan
        self.sources: dict[str, Servant] = {}
        self.published: dict[str, int] = {}  # messages of each source in the last slice
        self._kind = broker
        self._folder = folder
        self._seed = seed
        self._disks = disks

    def _start(self, stack: ExitStack) -> None:
        self._stack = stack
        self._folder.mkdir(parents=True, exist_ok=True)
        self.redises = [self._redis(number) for number in range(REDISES)]
        for redis in self.redises:
            redis.start()
            stack.callback(redis.kill)
        self.proxy = self._servant("proxy", "benchmarks.faults.proxy", str(self.redises[0].port))
        through = self.proxy.ask("open", _START)["port"]
        direct = [redis.url for redis in self.redises]
        self._environment = {
            **OURS.environment,
            "DJANGO_SETTINGS_MODULE": "benchmarks.faults.settings",
            "LOG_LEVEL": "INFO",
            "REDIS_URL": ",".join(direct),
        }
        self._urls = [f"redis://127.0.0.1:{through},{','.join(direct[1:])}", ",".join(direct)]
        self._ports = [free_port() for _ in range(WORKERS)]
        self.broker: Broker | None = None
        if self.plan.kafka:
            self._start_kafka(stack)
        self.workers = [self._worker(number) for number in range(WORKERS)]
        for worker, port in zip(self.workers, self._ports, strict=True):
            worker.wait_for_port(port, _START)
        self.sources[LAYER] = self._source(LAYER, {"keys": self.plan.keys})
        self._join()
        self._warm_up()

    def _start_kafka(self, stack: ExitStack) -> None:
        self.broker = make_broker(self._kind, self._folder / "kafka")
        self.broker.start()
        stack.callback(self.broker.kill)
        self.broker.create_topic(TOPIC, partitions=PARTITIONS)
        servers = self.broker.bootstrap_servers
        self._environment |= {
            "KAFKA_BOOTSTRAP_SERVERS": servers,
            "KAFKA_SESSION_TIMEOUT_MS": str(self.plan.session),
        }
        self.pool = self._pool()
        self.sources[KAFKA] = self._source(
            KAFKA,
            {"servers": servers, "topic": TOPIC, "idempotent": self._kind == APACHE},
        )

    def _redis(self, number: int) -> EmbeddedValkey:
        return EmbeddedValkey(
            directory=self._folder / f"redis-{number}",
            options=DISKS[self._disks[number]],
        )

    def _join(self) -> None:
        self._clients = self._servant("clients", "benchmarks.faults.clients")
        answer = self._clients.ask(
            "join",
            _START + _ANSWER,
            ports=self._ports,
            rooms=self.plan.seats,
            sources=list(self.sources),
            seed=self._seed,
            restless=self.plan.restless,
            patience=_START,
        )
        if answer["joined"] != self.plan.clients:
            raise self.workers[0].failure(f"{answer['joined']} of {self.plan.clients} clients came")

    def _warm_up(self) -> None:
        """Publish until everything arrives: a pool that joins its group takes its time."""
        self.begin()
        self.mended(time.monotonic_ns())
        self.wait_until_well(_START)
        account = self.end()
        if account["well_ms"] is None or account["lost"]:
            raise self.workers[0].failure(f"does not deliver: {account}")

    def restart_worker(self, number: int) -> None:
        """Start a worker that was killed, on the port that it had."""
        self.workers[number] = self._worker(number)
        self.workers[number].wait_for_port(self._ports[number], _START)

    def restart_pool(self) -> None:
        """Start the pool that was killed."""
        self.pool = self._pool()

    def save(self, number: int) -> None:
        """Have a Redis write all that it has to its disk."""
        with Redis.from_url(self.redises[number].url) as redis:
            redis.save()

    def stored(self, number: int) -> int:
        """Return how often something was put into a history of a Redis."""
        with Redis.from_url(self.redises[number].url) as redis:
            return int(redis.info("commandstats").get("cmdstat_xadd", {"calls": 0})["calls"])

    def empty(self, number: int) -> None:
        """Remove what a Redis that is down has kept."""
        shutil.rmtree(self.redises[number].directory)

    # A slice

    def begin(self) -> None:
        """Have clients count anew and the sources publish."""
        answer = self._clients.ask("begin", _START + _ANSWER, patience=_START)
        if not self.plan.restless and answer["settled"] != self.plan.clients:
            raise self.workers[0].failure(
                f"{answer['settled']} of {self.plan.clients} clients are back"
            )
        for source in self.sources.values():
            source.ask("begin", _ANSWER)

    def mended(self, at: int) -> None:
        """Tell the clients when (CLOCK_MONOTONIC, ns) all should have been well again soon."""
        self._clients.ask("mended", _ANSWER, at=at)

    def wait_until_well(self, timeout: float) -> None:
        """Wait until every client has got something new of every source in every room."""
        self._clients.ask("is_well", timeout + _ANSWER, patience=timeout)

    def p99(self, rooms: Sequence[str], seconds: float) -> tuple[int, float | None]:
        """Return how many messages reached these rooms' clients in a time, and how late in ms."""
        self._clients.ask("time", _ANSWER, rooms=rooms)
        time.sleep(seconds)
        answer = self._clients.ask("timed", _ANSWER)
        return answer["count"], answer["p99_ms"]

    def end(self) -> dict[str, Any]:
        """Stop publishing, wait for what is on its way, and return the slice's account."""
        ends, acknowledged = {}, 0
        for name, source in self.sources.items():
            sent = source.ask("end", _ACKNOWLEDGED + _ANSWER, patience=_ACKNOWLEDGED)
            ends[name] = sent["ends"]
            self.published[name] = sent["published"]
            acknowledged += sent["acknowledged"]
        account = self._clients.ask("collect", _ARRIVED + _ANSWER, ends=ends, patience=_ARRIVED)
        published = sum(self.published.values())
        silent = sum(not count for count in self.published.values())
        return {"published": published, "acknowledged": acknowledged, "silent": silent, **account}

    # Processes

    def _worker(self, number: int) -> Child:
        arguments = ("-v", "0", "-b", "127.0.0.1", "-p", str(self._ports[number]))
        return self._child(
            f"worker-{number}",
            *("-m", "shardlayer.server", *arguments, "config.asgi:application"),
            REDIS_URL=self._urls[number],
        )

    def _pool(self) -> Child:
        arguments = ("--consumers", str(CONSUMERS), "--instance-id", "pool")
        return self._child("pool", "-m", "django", "runkafka", *arguments)

    def _source(self, name: str, arguments: dict[str, Any]) -> Servant:
        flow = {"rooms": self.plan.names, "rate": self.plan.rate, "group": self.plan.group}
        asked = json.dumps({"name": name, "arguments": arguments, "flow": flow})
        return self._servant(f"source-{name}", "benchmarks.faults.sources", asked)

    def _child(self, name: str, *arguments: str, **environment: str) -> Child:
        child = Child(
            name,
            [sys.executable, *arguments],
            cpus=frozenset(os.sched_getaffinity(0)),
            folder=self._folder,
            environment={**self._environment, **environment},
        )
        self._stack.callback(child.stop)
        return child

    def _servant(self, name: str, *module: str) -> Servant:
        return self._stack.enter_context(
            Servant(
                name,
                module,
                cpus=frozenset(os.sched_getaffinity(0)),
                folder=self._folder,
                environment=getattr(self, "_environment", {}),
            )
        )
