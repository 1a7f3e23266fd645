"""The measure of `outbox`: from the commit to the socket, with a real PostgreSQL."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Final, Self

from benchmarks.children import Child, ChildFailed, Servant
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.peers.ours.peer import OURS
from benchmarks.plans import run_plans
from benchmarks.valkey import valkey
from demo.embedded import EmbeddedServerError, free_port

P50, P95 = "from the commit to the socket, p50", "from the commit to the socket, p95"
POSTGRESQL: Final = "PostgreSQL, LISTEN/NOTIFY"
PATIENCE: Final = 120.0  # seconds for an answer of the shop


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitToSocket:
    """One transaction after another publishes by the outbox; one relay, one worker, one page."""

    count: int = 500  # transactions
    rate: float = 25.0  # a second
    warm_up: int = 50
    rounds: int = 5

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, count=20, warm_up=5, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        with ExitStack() as stack:
            _, redis = stack.enter_context(valkey("valkey", placement.others, folder))
            environment = {
                **OURS.environment,
                "REDIS_URL": redis,
                "DATABASE_URL": stack.enter_context(_postgresql()),
                "METRICS_DIRECTORY": str(folder / "metrics"),
            }
            shop = stack.enter_context(_all_parts(environment, placement, folder))
            shop.ask("open", PATIENCE)
            first = 0
            for round in range(self.rounds + 1):
                count = self.count if round else self.warm_up
                asked = {"first": first, "count": count, "rate": self.rate}
                found = shop.ask("commit", PATIENCE + count / self.rate, **asked)
                first += count
                if round:
                    yield from _figures(round, count, found["delays"], found["repeated"])


def _figures(round: int, count: int, delays: list[float], repeated: int) -> Iterator[Figure]:
    cuts = quantiles(delays, n=100) if len(delays) > 1 else None
    for measure, place in ((P50, 49), (P95, 94)):
        yield Figure(
            measure=measure,
            layer=POSTGRESQL,
            round=round,
            value=None if cuts is None else cuts[place],
            unit="ms",
            calls=len(delays),
            lost=count - len(delays),
            repeated=repeated,
        )


@contextmanager
def _postgresql() -> Iterator[str]:
    """Run a PostgreSQL that writes to its disk as a site's does; yield its URL."""
    from tests.postgresql import PostgreSQL

    class Durable(PostgreSQL):
        def command(self, port: int) -> list[str]:
            return [*super().command(port), "-c", "fsync=on"]  # the last one counts

    server = Durable()
    try:
        with server:
            yield server.url
    except EmbeddedServerError as error:
        raise ChildFailed(str(error)) from error
    finally:
        server.remove()


@contextmanager
def _all_parts(
    environment: Mapping[str, str], placement: Placement, folder: Path
) -> Iterator[Servant]:
    """Run a worker and a relay on the database; yield the shop, whose page is not open yet."""
    port = free_port()
    manage = [sys.executable, "manage.py"]
    with ExitStack() as stack:

        def child(name: str, command: list[str]) -> Child:
            made = Child(
                name, command, cpus=placement.server, folder=folder, environment=environment
            )
            stack.enter_context(made)
            return made

        child("migrate", [*manage, "migrate", "-v", "0"]).wait(PATIENCE)
        child("relay", [*manage, "runoutbox"])
        words = [word.replace("{port}", str(port)) for word in OURS.command]
        child("worker", words).wait_for_port(port)
        shop = Servant(
            "shop",
            ["benchmarks.outbox.shop", f"ws://127.0.0.1:{port}/ws/"],
            cpus=placement.others,
            folder=folder,
            environment=environment,
        )
        yield stack.enter_context(shop)


PLANS: Final = {"commit": CommitToSocket}


run_outbox = partial(run_plans, PLANS)
"""Runs those named."""
