"""Several workers and several Redis servers, all of them of one deployment."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.assembly import Assembly
from benchmarks.children import Child, Servant
from benchmarks.greeting import Greeting, Step
from benchmarks.machine import Placement
from benchmarks.peers.base import REDIS_URL
from benchmarks.peers.ours.peer import OURS
from benchmarks.rig import NotDelivering
from benchmarks.scale.emitters import ROOMS, room
from benchmarks.swarm_process import open_clients, start_swarm
from benchmarks.valkey import valkey
from demo.embedded import free_port
from realtime.loadtest.process_look import cpu_ns

SIZE = 250  # bytes of a message's data
_PATIENCE = 60.0  # seconds
_PASSED_ROOMS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one slice cost, in nanoseconds of CPU, and what it brought.

    Attributes:
        workers: Of all workers.
        redis: Of all Redis servers.
        published: Publications.
        delivered: Messages that clients got, each in order.
        lost: Those that they did not get.
    """

    workers: int
    redis: int
    published: int
    delivered: int
    lost: int


def come(clients: Servant, port: int, rooms: Sequence[str], count: int) -> None:
    """Have so many more clients subscribe, each to the next of the rooms."""
    openings = tuple(json.dumps({"id": 1, "subscribe": {"room": name}}) for name in rooms)
    greeting = Greeting(
        path="/ws/", openings=openings, steps=(Step(expect='{"id":1,"subscribed"'),)
    )
    open_clients(clients, count, port=port, greeting=greeting, timeout=_PATIENCE)


class PassersBy:
    """Clients that come and go, in one room after the other."""

    def __init__(self, clients: Servant, port: int) -> None:
        self._process = clients
        self._port = port
        self._rooms = [f"passing-{number}" for number in range(_PASSED_ROOMS)]

    def come(self, count: int) -> None:
        """Have so many come."""
        come(self._process, self._port, self._rooms, count)

    def go(self) -> None:
        """Have all of them go."""
        self._process.ask("close", _PATIENCE)


class Deployment(Assembly):
    """Workers that share a CPU, Redis servers and clients that share the others.

    Each client is in a room: all in one, or each in one of its own.

    Args:
        nodes: How many workers.
        servers: How many Redis servers.
        clients: Of each worker.
        rooms: How many rooms there are; client i is in room i modulo their number.
        placement: The CPUs.
        folder: For logs.
    """

    def __init__(
        self,
        *,
        nodes: int,
        servers: int,
        clients: int,
        rooms: int,
        placement: Placement,
        folder: Path,
    ) -> None:
        self._nodes = nodes
        self._servers = servers
        self._clients_of_each = clients
        self._rooms = rooms
        self._placement = placement
        self._folder = folder
        self._next = 1

    def _start(self, stack: ExitStack) -> None:
        others = self._placement.others
        servers = [
            stack.enter_context(valkey(f"valkey-{number}", others, self._folder))
            for number in range(self._servers)
        ]
        self._redis = [process for process, _ in servers]
        self.redis_urls = [url for _, url in servers]
        environment = {
            **OURS.environment,
            REDIS_URL: ",".join(self.redis_urls),
            ROOMS: str(self._rooms),
        }
        self._ports = [free_port() for _ in range(self._nodes)]
        *program, application = OURS.command
        limits = ["--address-connections", "0", "--address-handshake-rate", "0"]
        self._workers = [
            stack.enter_context(
                Child(
                    f"worker-{port}",
                    [word.format(port=port) for word in (*program, *limits, application)],
                    cpus=self._placement.server,
                    folder=self._folder,
                    environment=environment,
                )
            )
            for port in self._ports
        ]
        for worker, port in zip(self._workers, self._ports, strict=True):
            worker.wait_for_port(port, _PATIENCE)
        self._swarm, acks_read = start_swarm(stack, "swarm", cpus=others, folder=self._folder)
        self._publisher = stack.enter_context(
            Servant(
                "publisher",
                [
                    *("benchmarks.publisher", "benchmarks.scale.emitters:EveryRoomEmitter"),
                    str(acks_read),
                ],
                cpus=others,
                folder=self._folder,
                environment=environment,
                pass_fds=[acks_read],
            )
        )
        rooms = [room(number) for number in range(self._rooms)]
        for port in self._ports:
            come(self._swarm, port, rooms, self._clients_of_each)

    @property
    def worker_pid(self) -> int:
        """The process of the first worker."""
        return self._workers[0].pid

    def passers_by(self) -> PassersBy:
        """Return clients of the first worker that come and go, whom nobody publishes to."""
        clients, _ = start_swarm(
            self._stack, "passers-by", cpus=self._placement.others, folder=self._folder
        )
        return PassersBy(clients, self._ports[0])

    def verify(self) -> None:
        """Publish until one message has reached every client.

        Raises:
            NotDelivering: None did.
        """
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if self.publish(0.0, patience=5.0).lost == 0:
                return
        raise NotDelivering("published messages don't reach all clients")

    def publish(self, seconds: float, *, patience: float = _PATIENCE) -> Spent:
        """Publish one message after the other to all rooms, each when all have got the last."""
        first = self._next
        before = self._used()
        self._swarm.ask("expect", _PATIENCE, first=first, burst=1)
        sent = self._publisher.ask(
            "one_by_one",
            seconds + patience + _PATIENCE,
            first=first,
            burst=1,
            size=SIZE,
            seconds=seconds,
            patience=patience,
        )
        arrived = self._swarm.ask(
            "collect", _PATIENCE + 5, published=sent["published"], timeout=0.5
        )
        after = self._used()
        self._next += int(sent["published"])
        return Spent(
            workers=after[0] - before[0],
            redis=after[1] - before[1],
            published=int(sent["published"]) * self._rooms,
            delivered=int(arrived["received"]),
            lost=int(arrived["lost"]),
        )

    def _used(self) -> tuple[int, int]:
        workers, redis = (
            sum(cpu_ns(process.pid) for process in processes)
            for processes in (self._workers, self._redis)
        )
        return workers, redis
