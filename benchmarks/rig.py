"""One peer set up to be measured: its server, its Redis, its clients and its publisher."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.accounting import rss_bytes
from benchmarks.assembly import Assembly
from benchmarks.children import Child, Servant
from benchmarks.machine import Placement
from benchmarks.peers.base import PORT, REDIS_URL, Peer
from benchmarks.swarm_process import open_clients, start_swarm
from benchmarks.valkey import valkey
from demo.embedded import free_port
from realtime.loadtest.process_look import cpu_ns

_PATIENCE = 20.0  # seconds for what is on its way to arrive
_PROBE = 200  # bytes of a message that only asks whether all are subscribed
_QUIET = 0.1  # seconds over which a server is watched to see whether it is done
_BUSY = 0.02  # of a CPU: what counts as doing nothing


class NotDelivering(RuntimeError):
    """A peer's clients are connected but don't get what is published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the processes have used so far, in nanoseconds of CPU."""

    wall: int
    server: int
    clients: int
    publisher: int
    redis: int


class Rig(Assembly):
    """A peer's processes, up while the `with` block runs.

    Args:
        peer: What to set up; it has been built in `folder`.
        placement: The CPUs.
        folder: For logs.
    """

    def __init__(self, peer: Peer, placement: Placement, folder: Path) -> None:
        self.peer = peer
        self.members = 0
        self._placement = placement
        self._folder = folder
        self._next = 1  # number of the next message

    def _start(self, stack: ExitStack) -> None:
        name, others = self.peer.name, self._placement.others
        self._port = free_port()
        environment = {
            name: text.replace("{folder}", str(self._folder))
            for name, text in self.peer.environment.items()
        }
        environment[PORT] = str(self._port)
        self._redis: Child | None = None
        if self.peer.redis:
            self._redis, environment[REDIS_URL] = stack.enter_context(
                valkey(f"{name}-valkey", others, self._folder)
            )
        self.server = stack.enter_context(
            Child(
                f"{name}-server",
                [part.format(port=self._port, folder=self._folder) for part in self.peer.command],
                cpus=self._placement.server,
                folder=self._folder,
                environment=environment,
            )
        )
        self.server.wait_for_port(self._port)
        self._clients, acks_read = start_swarm(
            stack, f"{name}-clients", cpus=others, folder=self._folder
        )
        self._publisher: Servant | None = None
        if self.peer.emitter is not None:
            self._publisher = stack.enter_context(
                Servant(
                    f"{name}-publisher",
                    ["benchmarks.publisher", self.peer.emitter, str(acks_read)],
                    cpus=others,
                    folder=self._folder,
                    environment=environment,
                    pass_fds=[acks_read],
                )
            )

    @property
    def port(self) -> int:
        """Where the server listens, on 127.0.0.1."""
        return self._port

    @property
    def delivers(self) -> bool:
        """Whether there is something to publish to."""
        return self._publisher is not None

    def connect(self, count: int) -> float:
        """Add `count` subscribed clients and return the seconds that it took."""
        self.members += count
        answer = self._open(self._clients, count)
        if answer["subscribed"] != self.members:
            raise self.server.failure(f"has {answer['subscribed']} of {self.members} clients")
        return float(answer["seconds"])

    def _open(self, clients: Servant, count: int) -> dict[str, Any]:
        greeting = self.peer.greeting_in(self._folder, self._port)
        return open_clients(clients, count, port=self._port, greeting=greeting)

    def connect_apart(self, count: int) -> Servant:
        """Return a process with `count` more subscribed clients, whom nobody counts."""
        clients, _ = start_swarm(
            self._stack,
            f"{self.peer.name}-clients-apart",
            cpus=self._placement.others,
            folder=self._folder,
        )
        self._open(clients, count)
        return clients

    def verify(self) -> None:
        """Publish until one message has reached every client.

        Raises:
            NotDelivering: None did within some seconds.
        """
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            # The first ones may come before the server has subscribed at Redis.
            if self.one_by_one(burst=1, size=_PROBE, seconds=0, patience=2.0)["lost"] == 0:
                return
        raise NotDelivering(f"{self.peer.name}: published messages don't reach all clients")

    def one_by_one(
        self, *, burst: int, size: int, seconds: float, patience: float = _PATIENCE
    ) -> dict[str, Any]:
        """Run benchmarks.publisher.pacing.one_by_one and return both sides' figures."""
        return self._publish(
            "one_by_one",
            seconds + patience,
            burst=burst,
            instructions={"burst": burst, "size": size, "seconds": seconds, "patience": patience},
        )

    def steadily(
        self, *, size: int, rate: float, seconds: float, all_arrive: bool = True
    ) -> dict[str, Any]:
        """Run benchmarks.publisher.pacing.steadily and return both sides' figures.

        Where not all messages arrive, they are not waited for: what has come by then is counted.
        """
        instructions = {"size": size, "rate": rate, "seconds": seconds}
        return self._publish(
            "steadily", 3 * seconds, burst=0, instructions=instructions, all_arrive=all_arrive
        )

    def _publish(
        self,
        how: str,
        timeout: float,
        *,
        burst: int,
        instructions: dict[str, float],
        all_arrive: bool = True,
    ) -> dict[str, Any]:
        if self._publisher is None:
            raise ValueError(f"{self.peer.name} delivers nothing")
        first = self._next
        self._clients.ask("expect", _PATIENCE, first=first, burst=burst)
        sent = self._publisher.ask(how, timeout + _PATIENCE, first=first, **instructions)
        self._next += int(sent["published"])
        # After a stall nothing more will come; else the rest is on its way.
        patience = 0.5 if sent["stalled"] else _PATIENCE
        if not all_arrive:
            patience = 0.0
        arrived = self._clients.ask(
            "collect", patience + 5, published=sent["published"], timeout=patience
        )
        return {**sent, **arrived}

    def bytes_read(self) -> int:
        """Return the bytes that the clients have read up to now."""
        return int(self._clients.ask("bytes_read", _PATIENCE)["bytes"])

    def usage(self) -> Usage:
        """Return what has been used up to now."""
        return Usage(
            wall=time.monotonic_ns(),
            server=cpu_ns(self.server.pid),
            clients=cpu_ns(self._clients.pid),
            publisher=cpu_ns(self._publisher.pid) if self._publisher else 0,
            redis=cpu_ns(self._redis.pid) if self._redis else 0,
        )

    def rss(self) -> int:
        """Return the server's resident memory in bytes."""
        return rss_bytes(self.server.pid)

    def settle(self, timeout: float = 3.0) -> None:
        """Wait until the server does nothing more, at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        before = cpu_ns(self.server.pid)
        while time.monotonic() < deadline:
            time.sleep(_QUIET)
            after = cpu_ns(self.server.pid)
            if after - before < _BUSY * _QUIET * 1e9:
                return
            before = after


@contextmanager
def side_by_side(
    peers: Iterable[Peer], members: int, placement: Placement, folder: Path
) -> Iterator[list[Rig]]:
    """Have peers up while the `with` block runs, each with as many clients that get everything."""
    with ExitStack() as stack:
        rigs = [stack.enter_context(Rig(peer, placement, folder)) for peer in peers]
        for rig in rigs:
            rig.connect(members)
            rig.verify()
        yield rigs
