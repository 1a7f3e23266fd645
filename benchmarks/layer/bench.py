"""One layer set up to be measured: a Redis, a process that sends and one that has the member."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks.assembly import Assembly
from benchmarks.children import Servant
from benchmarks.layer.layers import Layer
from benchmarks.layer.settling import settle
from benchmarks.machine import Placement
from benchmarks.valkey import valkey
from realtime.loadtest.process_look import cpu_ns

GROUP = "benchmark"

_PATIENCE = 10.0  # seconds for what is on its way to arrive


class Bench(Assembly):
    """A layer's processes, up while the `with` block runs.

    The sender has the CPU that is measured, as the servers have elsewhere. Both processes have an
    event loop with a channel; only the member's is in GROUP.

    Args:
        layer: What to set up.
        placement: The CPUs.
        folder: For logs.
    """

    def __init__(self, layer: Layer, placement: Placement, folder: Path) -> None:
        self.layer = layer
        self._placement = placement
        self._folder = folder
        self._next = 1  # number of the next message

    def _start(self, stack: ExitStack) -> None:
        name, others = self.layer.name, self._placement.others
        self._redis, self._url = stack.enter_context(valkey(f"{name}-valkey", others, self._folder))
        self.sender = stack.enter_context(self.worker("sender", self._placement.server))
        self.member = stack.enter_context(self.worker("member", others))
        self.member.ask("join", _PATIENCE, groups=[GROUP])

    def worker(self, name: str, cpus: frozenset[int]) -> Servant:
        """Return one more process that uses the layer."""
        return Servant(
            f"{self.layer.name}-{name}",
            ["benchmarks.layer.worker", self.layer.name, self._url],
            cpus=cpus,
            folder=self._folder,
        )

    def verify(self) -> None:
        """Send until a message arrives, told to no process but the member's.

        Raises:
            NotDelivering: That was not so after some seconds.
        """

        def arrives() -> bool:
            sent = self.send("concurrently", callers=1, seconds=0.05)
            return bool(sent["sent"]) and not sent["lost"]

        what = f"{self.layer.name}: group messages"
        settle(self.sender, arrives, patience=_PATIENCE, what=what)

    def send(self, how: str, *, seconds: float, **arguments: Any) -> dict[str, Any]:
        """Send to the member for a while; return what came of it on both sides."""
        return self._send(self.sender, self.member, GROUP, how, seconds=seconds, **arguments)

    def alone(self, groups: int) -> dict[str, Any]:
        """Start one more process with a member in each of many groups, and send to each from it.

        Returns the sums of what `send` returns, and `connections`, those that the process made.
        """
        before = self.connections()
        names = [f"{GROUP}.{number}" for number in range(groups)]
        with self.worker("alone", self._placement.others) as process:
            process.ask("join", _PATIENCE, groups=names)
            ends = [
                self._send(process, process, name, "concurrently", callers=1, seconds=0.001)
                for name in names
            ]
            made = self.connections() - before
        sums = {what: sum(end[what] for end in ends) for what in ("sent", "lost", "repeated")}
        failed = sum((Counter(end["failed"]) for end in ends), Counter())
        return {**sums, "connections": made, "failed": dict(failed)}

    def _send(
        self,
        sender: Servant,
        member: Servant,
        group: str,
        how: str,
        *,
        seconds: float,
        **arguments: Any,
    ) -> dict[str, Any]:
        sent = sender.ask(
            "send",
            seconds + _PATIENCE,
            how=how,
            group=group,
            first=self._next,
            seconds=seconds,
            **arguments,
        )
        arrived = member.ask(
            "collect",
            2 * _PATIENCE,
            group=group,
            first=self._next,
            until=sent["until"],
            unsure=sent["unsure"],
            patience=_PATIENCE,
        )
        self._next = sent["until"]
        return {**sent, **arrived, "failed": {**sent["failed"], **arrived["receive_failed"]}}

    def round_trips(self, *, seconds: float) -> dict[str, Any]:
        """Have the sender talk to a channel of the member's process."""
        channel = self.member.ask("echo", _PATIENCE)["channel"]
        answer = self.sender.ask(
            "round_trips", seconds + _PATIENCE, channel=channel, first=self._next, seconds=seconds
        )
        self._next = answer["until"]
        return answer

    def redis_cpu_ns(self) -> int:
        """Return the CPU that the Redis server has used so far."""
        return cpu_ns(self._redis.pid)

    def connections(self) -> int:
        """Return how many connections the Redis server has, this question's not counted."""
        with Redis.from_url(self._url) as redis:
            return len(redis.client_list()) - 1
