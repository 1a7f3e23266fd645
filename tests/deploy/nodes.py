"""Nodes of the demo project behind a proxy, each with an address of its own and the same port."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil

from demo.embedded import free_port
from tests.realtime.process import BIN, Process
from tests.server.client import RawClient, request
from tests.waiting import PATIENCE, wait_until

ONE, TWO, THREE = "127.0.0.2", "127.0.0.3", "127.0.0.4"  # addresses of nodes
ORIGIN = "http://localhost"
START_TIMEOUT = 60.0  # seconds
STRANGER = "127.0.0.9"  # the address of another client
STREAM = b"GET /sse/?room=chat.smoke HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = 100_000  # bytes
SLOW_POST = b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\nx" % LARGE


class ProxiedNode(Process):
    """`shardlayer-daphne` as docker-compose.horizontal.yml runs it, with more options if need be.

    Attributes:
        address: Its own IP address.
    """

    def __init__(
        self, directory: Path, *options: str, address: str, port: int, redis_url: str
    ) -> None:
        self.address, self.port = address, port
        super().__init__(
            [
                *(str(BIN / "shardlayer-daphne"), "-b", address, "-p", str(port)),
                *("--proxy-headers", "--access-log", "-", *options, "config.asgi:application"),
            ],
            log=directory / f"node-{address}.log",
            REDIS_URL=redis_url,
            DATABASE_URL=f"sqlite:///{directory}/db.sqlite3",
            METRICS_DIRECTORY=str(directory / f"metrics-{address}"),
            DJANGO_ALLOWED_HOSTS=f"localhost,{address}",
        )

    def is_ready(self) -> bool:
        """Say whether it takes clients."""
        try:
            with urlopen(f"http://{self.address}:{self.port}/health/ready", timeout=5) as answer:
                return bool(json.load(answer)["status"] == "ready")
        except OSError:
            return False

    def connections(self) -> int:
        """Return how many connections its clients have."""
        return sum(
            connection.status == psutil.CONN_ESTABLISHED and connection.laddr.ip == self.address
            for connection in psutil.Process(self.pid).net_connections("tcp")
        )


@contextmanager
def running_nodes(
    directory: Path, redis_url: str, addresses: tuple[str, ...], *options: str
) -> Iterator[dict[str, ProxiedNode]]:
    """Start a node on each address, all on one port; by address."""
    port = free_port()
    with ExitStack() as stack:
        nodes = {
            address: stack.enter_context(
                ProxiedNode(directory, *options, address=address, port=port, redis_url=redis_url)
            )
            for address in addresses
        }
        for node in nodes.values():
            wait_until(node.is_ready, within=START_TIMEOUT, what="A node did not become ready.")
        yield nodes


def get(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    """Return status and body of a page through the proxy on this port."""
    asked = Request(f"http://127.0.0.1:{port}{path}", headers={"Host": "localhost", **headers})
    try:
        with urlopen(asked, timeout=PATIENCE) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def get_from(port: int, address: str, path: str = "/admin/login/") -> int:
    """Return the status of a page that a client of another loopback address asks for."""
    asked = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    with closing(ask(port, asked, address=address)) as connection:
        return status_of(connection)


def ask(port: int, sent: bytes, *, address: str = "127.0.0.1") -> socket.socket:
    """Connect to a proxy from a loopback address and send it these bytes."""
    connection = socket.create_connection(
        ("127.0.0.1", port), timeout=PATIENCE, source_address=(address, 0)
    )
    connection.sendall(sent)
    return connection


def status_of(connection: socket.socket) -> int:
    """Return the status of the answer, which has to come."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(4096)
        assert part, head
        head += part
    return int(head.split(b" ", 2)[1])


def told(clients: list[RawClient]) -> list[int]:
    """Return the codes with which some of these clients were just closed."""
    readable, _, _ = select.select([client.socket for client in clients], [], [], 0)
    closed = [client for client in clients if client.socket in readable]
    return [client.read_to_close()[-1].code for client in closed]


def connect(
    port: int, path: str = "/ws/", *, address: str = "127.0.0.1", **headers: str | None
) -> RawClient:
    """Open a WebSocket at a proxy, or at a node; it may have been refused: see its status."""
    connection = socket.create_connection((address, port), timeout=PATIENCE)
    return RawClient(connection, request(path, Host="localhost", Origin=ORIGIN, **headers))
