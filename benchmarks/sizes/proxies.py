"""Memory of a WebSocket in HAProxy, in nginx and in the kernel.

Each proxy runs with the configuration of deploy/, on one thread or process. Some WebSockets warm
it up; the growth over the next 5,000 is what is printed, with the CPU that each took to be opened.
The kernel's share is the growth of its own memory (Slab of /proc/meminfo) over 5,000 idle
connections of this machine to itself, both ends counted, so that of one end is half of it.
"""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from benchmarks.children import Child
from benchmarks.machine import raise_descriptor_limit
from benchmarks.sizes.backend import KEY
from demo.embedded import free_port

COUNT = 5000
WARM_UP = 500
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CPUS = frozenset(range(psutil.cpu_count() or 1))
SBIN = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
OPENING = (
    b"GET /ws/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Origin: http://localhost\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0)\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % KEY.encode()
)


def measure_proxies() -> None:
    """Measure what is installed, and print it."""
    raise_descriptor_limit(2 * (COUNT + WARM_UP))
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name, ExitStack() as stack:
        folder = Path(name)
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.sizes.backend", str(port)]
        backend = stack.enter_context(Child("backend", command, cpus=CPUS, folder=folder))
        backend.wait_for_port(port)
        kernel(port)
        for kind, start in {"haproxy": haproxy, "nginx": nginx}.items():
            program = shutil.which(kind, path=SBIN)
            if program is None:
                print(f"{kind}: not installed")
                continue
            with start(program, port, folder) as (proxy, front):
                measure(kind, proxy, front)


def kernel(port: int) -> None:
    """Print what the kernel needs for a connection."""
    before = slab()
    opened = connect(port, COUNT)
    grown = slab() - before
    print(f"kernel: {grown / COUNT / 2 / 1024:.1f} KB for one end of an idle connection")
    close(opened)


def measure(kind: str, proxy: psutil.Process, port: int) -> None:
    """Print what a proxy needs."""
    warm = connect(port, WARM_UP)
    time.sleep(1)
    before, cpu = memory(proxy), seconds(proxy)
    opened = connect(port, COUNT)
    time.sleep(1)
    grown, used = memory(proxy) - before, seconds(proxy) - cpu
    print(
        f"{kind}: {grown / COUNT / 1024:.1f} KB of its memory for a WebSocket, "
        f"{used / COUNT * 1e6:.0f} us of CPU to open one"
    )
    close(opened + warm)


def connect(port: int, count: int) -> list[socket.socket]:
    """Return so many WebSockets, opened one after another."""
    opened = []
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port), timeout=30)
        client.sendall(OPENING)
        answer = client.recv(4096)
        if not answer.startswith(b"HTTP/1.1 101"):
            raise SystemExit(f"refused: {answer!r}")
        opened.append(client)
    return opened


def close(opened: list[socket.socket]) -> None:
    """Close them."""
    for client in opened:
        client.close()


def slab() -> int:
    """Return the bytes of the kernel's own memory."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, size = line.partition(":")
        if name == "Slab":
            return int(size.split()[0]) * 1024
    raise SystemExit("/proc/meminfo has no Slab.")


def memory(process: psutil.Process) -> int:
    """Return the resident bytes of a process and its children."""
    return sum(one.memory_info().rss for one in [process, *process.children()])


def seconds(process: psutil.Process) -> float:
    """Return the CPU of a process and its children so far."""
    times = [one.cpu_times() for one in [process, *process.children()]]
    return sum(one.user + one.system for one in times)


@contextmanager
def haproxy(program: str, node: int, folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    """Run HAProxy with deploy/haproxy/haproxy.cfg inside the block."""
    front = free_port()
    environ = {
        "HAPROXY_BIND": f"127.0.0.1:{front}",
        "HAPROXY_ADMIN": str(folder / "admin.sock"),
        "HAPROXY_METRICS": f"127.0.0.1:{free_port()}",
        "HAPROXY_MAXCONN": str(COUNT + WARM_UP),
        "HAPROXY_MOST_NODES": "1",
        "HAPROXY_NODES": f"127.0.0.1:{node}",
        "HAPROXY_SOCKETS_PER_NODE": str(COUNT + WARM_UP),
    }
    one_thread = folder / "one-thread.cfg"
    one_thread.write_text("global\n    nbthread 1\n")
    files = ("-f", str(DEPLOY / "haproxy" / "haproxy.cfg"), "-f", str(one_thread))
    command = [program, "-db", *files]
    with Child("haproxy", command, cpus=CPUS, folder=folder, environment=environ) as child:
        child.wait_for_port(front)
        time.sleep(3)  # its health checks find the node
        yield psutil.Process(child.pid), front


@contextmanager
def nginx(program: str, node: int, folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    """Run nginx with deploy/nginx/nginx.conf inside the block."""
    front = free_port()
    text = (DEPLOY / "nginx" / "nginx.conf").read_text()
    for old, new in {
        "worker_processes auto": "worker_processes 1",
        "listen 8000 ": f"listen 127.0.0.1:{front} ",
        "server node-1:8000 max_conns=4000": f"server 127.0.0.1:{node} max_conns={2 * COUNT}",
        "server node-1:8000": f"server 127.0.0.1:{node}",
        "server node-2:8000 ": "# server ",
        "/run/nginx": str(folder),
        "/dev/stdout": str(folder / "access.log"),
    }.items():
        text = text.replace(old, new)
    alone = "daemon off; master_process off;"  # one process, which ends when it is killed
    written = folder / "nginx.conf"
    written.write_text(text)
    command = [program, "-p", str(folder), "-c", str(written), "-g", alone]
    with Child("nginx", command, cpus=CPUS, folder=folder) as child:
        child.wait_for_port(front)
        yield psutil.Process(child.pid), front
