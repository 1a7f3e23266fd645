"""A Redis, a process that publishes and one that listens."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

from benchmarks.assembly import Assembly
from benchmarks.children import Servant
from benchmarks.layer.settling import settle
from benchmarks.machine import Placement
from benchmarks.valkey import valkey
from realtime.loadtest.process_look import cpu_ns

_PATIENCE = 20.0  # seconds


class Pair(Assembly):
    """Up while the `with` block runs; the one that publishes has the CPU that is measured.

    Args:
        layer: A name of benchmarks.layer.layers.
        to: What is listened to: rooms, groups or channels; empty for nothing.
        names: Their names.
    """

    def __init__(
        self, layer: str, *, to: str, names: list[str], placement: Placement, folder: Path
    ) -> None:
        self.names = names
        self.to = to
        self._layer = layer
        self._placement = placement
        self._folder = folder
        self._heard = 0

    def _start(self, stack: ExitStack) -> None:
        others = self._placement.others
        name = f"{self._layer}-{self.to}"
        self._redis, url = stack.enter_context(valkey(f"{name}-valkey", others, self._folder))

        def worker(role: str, cpus: frozenset[int]) -> Servant:
            return stack.enter_context(
                Servant(
                    f"{name}-{role}",
                    ["benchmarks.history.worker", self._layer, url],
                    cpus=cpus,
                    folder=self._folder,
                )
            )

        self._publisher = worker("publisher", self._placement.server)
        self._listener = worker("listener", others)
        if self.to:
            self._listener.ask("listen", _PATIENCE, to=self.to, names=self.names)

    def settle(self) -> None:
        """Publish until everything arrives, and to no node but the listener's.

        Raises:
            NotDelivering: That was not so after some seconds.
        """
        settle(
            self._publisher,
            lambda: not self.publish(callers=1, seconds=0.05)["lost"],
            patience=_PATIENCE,
            what="publications",
        )

    def publish(self, *, callers: int, seconds: float, alone: bool = False) -> dict[str, Any]:
        """Publish to all names; return what came of it.

        With `alone` the listener stands still meanwhile and takes it all afterwards: its CPU, which
        is Redis's on a machine of two, is not measured with that of those who publish.
        """
        with self._listener.stopped() if alone else nullcontext():
            sent = self._publisher.ask(
                "publish",
                seconds + _PATIENCE,
                to=self.to,
                rooms=self.names,
                callers=callers,
                seconds=seconds,
            )
        return self._checked(sent)

    def batches(self, how: str, rooms: list[str], *, seconds: float) -> dict[str, Any]:
        """Publish batches of `rooms`."""
        return self._checked(
            self._publisher.ask(
                "batches", seconds + _PATIENCE, how=how, rooms=rooms, seconds=seconds
            )
        )

    def join_slowly(self, pause: float) -> None:
        """Have the listener be a slow member of each of its own rooms; see `flood`."""
        self._listener.ask("suffer", _PATIENCE, pause=pause)

    def flood(self, count: int, *, patience: float) -> tuple[dict[str, Any], dict[str, Any]]:
        """Publish to those rooms as fast as may be; return what was sent and what came of it."""
        sent = self._publisher.ask("flood", patience, count=count)
        came = self._listener.ask("suffered", 2 * patience, count=count, patience=patience)
        return sent, came

    def _checked(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Wait for what was published and count what did not come, if anybody listens."""
        if not self.to:
            return {**sent, "lost": 0}
        wanted = self._heard + sent["published"]
        heard = self._listener.ask("heard", 2 * _PATIENCE, count=wanted, patience=_PATIENCE)
        self._heard = heard["count"]
        return {**sent, "lost": wanted - self._heard}

    def redis_cpu_ns(self) -> int:
        """Return the CPU that the Redis has used so far."""
        return cpu_ns(self._redis.pid)
