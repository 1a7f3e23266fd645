"""The clients' process (see benchmarks.swarm), as those who measure start it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from benchmarks.children import Servant


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
