"""HAProxy in front of the same workers: least connections, a limit for each, one thread."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.children import Child
from demo.embedded import free_port

_CONFIGURATION = """\
global
    nbthread 1
    maxconn 2000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
frontend front
    bind 127.0.0.1:{port} backlog 4096
    default_backend workers
backend workers
    balance leastconn
{servers}
"""


def found_haproxy() -> str | None:
    """Return the program, None where it is not installed."""
    return shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


@contextmanager
def haproxy(
    program: str, workers: Sequence[int], cpus: frozenset[int], folder: Path
) -> Iterator[tuple[Child, int]]:
    """Run it inside the block; yields the process and its port."""
    port = free_port()
    servers = "\n".join(
        f"    server worker-{number} 127.0.0.1:{each} maxconn 1000"
        for number, each in enumerate(workers, 1)
    )
    file = folder / "haproxy.cfg"
    file.write_text(_CONFIGURATION.format(port=port, servers=servers))
    with Child("haproxy", [program, "-db", "-f", str(file)], cpus=cpus, folder=folder) as child:
        child.wait_for_port(port)
        yield child, port
