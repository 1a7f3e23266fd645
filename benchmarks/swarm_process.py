"""The clients' process (see benchmarks.swarm), as those who measure start it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.children import Servant
from benchmarks.greeting import Greeting


def start_swarm(
    stack: ExitStack, name: str, *, cpus: frozenset[int], folder: Path
) -> tuple[Servant, int]:
    """Start a process for clients; return it, and the end of a pipe that brings its acks.

    Both are there until `stack` is closed.
    """
    acks_read, acks_write = os.pipe()
    stack.callback(os.close, acks_read)
    stack.callback(os.close, acks_write)
    clients = stack.enter_context(
        Servant(
            name,
            ["benchmarks.swarm", str(acks_write)],
            cpus=cpus,
            folder=folder,
            pass_fds=[acks_write],
        )
    )
    return clients, acks_read


def open_clients(
    clients: Servant,
    count: int,
    *,
    port: int,
    greeting: Greeting,
    at_once: int = 32,
    timeout: float | None = None,
    source: str | None = None,
) -> dict[str, Any]:
    """Have a process open `count` more connections: see `Swarm._open`, whose answer it returns.

    It may take `timeout` seconds; None: as many as that number should.
    """
    seconds = 20.0 + count * 0.02 if timeout is None else timeout
    return clients.ask(
        "open",
        seconds + 5,
        port=port,
        greeting=greeting.as_json(),
        count=count,
        at_once=at_once,
        timeout=seconds,
        source=source,
    )
