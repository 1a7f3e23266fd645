"""What the benchmark needs to know of a peer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.greeting import Greeting

ROOM = "benchmark"  # all clients of all peers are in one room of this name

# What a peer's server and publisher find in their environment:
REDIS_URL = "REDIS_URL"
PORT = "BENCHMARK_PORT"  # where the server listens, on 127.0.0.1


class Unavailable(Exception):
    """A peer can't run on this machine; the message says what is missing."""


def _nothing_to_build(folder: Path) -> None:
    """Most peers are installed packages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A server beside which, or as which, we are measured.

    Attributes:
        name: As in arguments and results.
        title: As in the tables.
        what: One sentence for docs and results: what runs.
        command: The server's command line; `{port}` and `{folder}` are filled in.
        greeting: How a client becomes a subscriber of ROOM.
        introduce: Returns the greeting, where what `build` made belongs into it, or what the server
            says that runs on a port.
        emitter: `module:class` of the Emitter, None for a peer that delivers nothing.
        steady_rate: Messages/s to 2,000 clients that it can keep up with on a slow CPU, for peers
            that can't do what the others are asked for.
        redis: Whether server and publisher talk through a Redis.
        environment: More variables for both of them; `{folder}` is filled in.
        build: Makes what the command needs, in a temporary folder. Raises Unavailable.
        versions: Distributions whose versions belong in the results.
    """

    name: str
    title: str
    what: str
    command: tuple[str, ...]
    greeting: Greeting
    emitter: str | None
    redis: bool
    steady_rate: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    build: Callable[[Path], None] = _nothing_to_build
    introduce: Callable[[Path, int], Greeting] | None = None
    versions: tuple[str, ...] = ()

    def greeting_in(self, folder: Path, port: int) -> Greeting:
        """Return how a client introduces itself; the peer was built in `folder`, and runs."""
        return self.greeting if self.introduce is None else self.introduce(folder, port)
