"""The places that the layer runs on, each with real servers that the tests start."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis import Redis
from redis.exceptions import RedisError

from demo.embedded import EmbeddedValkey
from demo.embedded.ports import LOOPBACK
from demo.embedded.server import EmbeddedServer
from demo.embedded.valkey import valkey_binary
from tests import tools
from tests.waiting import wait_until

PASSWORD = "lizard"
PRIMARY_NAME = "shards"
CALM = 15_000  # ms of silence for which a busy machine is not taken for a dead server
# Seconds until servers that find each other have done so. A Sentinel that a busy machine lets
# stand still for 2 s waits for 30 before it does anything.

# What docs/operate.md lists: the least that a Redis user of the layer must be allowed.
ACL_RULES = (
    "~{rt.*",
    "~{ours.*",
    "~{theirs.*",
    "&{rt.*",
    "&{ours.*",
    "&{theirs.*",
    *("+@connection", "+@scripting", "+@hash", "+@stream", "+@sortedset", "+@list", "+@string"),
    *("+time", "+scan", "+del", "+unlink", "+pexpire", "+pttl", "+info", "+config|get", "+wait"),
    *("+spublish", "+ssubscribe", "+sunsubscribe"),
)


@dataclass
class Place:
    """Servers and how a layer reaches them.

    Attributes:
        config: The part of CONFIG that says where the servers are.
        servers: Every server, to flush and to look into.
    """

    config: dict[str, Any]
    servers: list[EmbeddedServer] = field(default_factory=list)

    def flush(self) -> None:
        """Remove all data and scripts of every server."""
        for server in self.servers:
            if isinstance(server, EmbeddedValkey):
                server.flush()

    def clients(self) -> list[Redis]:
        """Return a client of each server that holds shards."""
        valkeys = (server for server in self.servers if isinstance(server, EmbeddedValkey))
        return [Redis.from_url(server.url) for server in valkeys]


class MemoryPlace(Place):
    """A server inside this process; a flush is a new one."""

    def flush(self) -> None:
        self.config = {"hosts": [f"memory://{uuid4().hex}"]}


@contextmanager
def memory(_directory: Path) -> Iterator[Place]:
    """This process."""
    yield MemoryPlace({})


@contextmanager
def unix_socket(directory: Path) -> Iterator[Place]:
    """One Valkey on a Unix socket."""
    path = directory / "valkey.sock"
    with EmbeddedValkey(directory=directory, options=("--unixsocket", str(path))) as valkey:
        yield Place({"hosts": [f"unix://{path}"]}, [valkey])


@contextmanager
def with_password(directory: Path) -> Iterator[Place]:
    """One Valkey over TCP, with a user who may do just what the layer needs."""
    user = ("--user", "layer", "on", f">{PASSWORD}", "resetkeys", "resetchannels", *ACL_RULES)
    with EmbeddedValkey(directory=directory, options=user) as valkey:
        yield Place({"hosts": [f"redis://layer:{PASSWORD}@{valkey.address}"]}, [valkey])


@contextmanager
def four(directory: Path) -> Iterator[Place]:
    """Four Valkeys, eight shards each."""
    with _several(directory, 4) as place:
        yield place


@contextmanager
def thirty_two(directory: Path) -> Iterator[Place]:
    """A Valkey per shard."""
    with _several(directory, 32) as place:
        yield place


@contextmanager
def _several(directory: Path, count: int) -> Iterator[Place]:
    with ExitStack() as stack:
        servers = [
            stack.enter_context(EmbeddedValkey(directory=directory / str(number)))
            for number in range(count)
        ]
        yield Place({"hosts": [server.url for server in servers]}, [*servers])


@contextmanager
def tls(directory: Path) -> Iterator[Place]:
    """Redis 7.0, the oldest that is supported, over TLS with a certificate of our own."""
    certificate, key = make_certificate(directory)
    with TlsRedis(directory=directory, certificate=certificate, key=key) as server:
        host = {"address": f"rediss://{server.address}", "ssl_ca_certs": str(certificate)}
        yield TlsPlace({"hosts": [host]}, [server])


class TlsPlace(Place):
    """A place that is flushed over TLS."""

    def flush(self) -> None:
        for server in self.servers:
            assert isinstance(server, TlsRedis)
            server.flushing.flushall()
            server.flushing.script_flush()

    def clients(self) -> list[Redis]:
        return [server.client() for server in self.servers if isinstance(server, TlsRedis)]


class TlsRedis(EmbeddedServer):
    """Debian's redis-server, listening for TLS only."""

    name: ClassVar[str] = "Redis with TLS"

    def __init__(self, *, directory: Path, certificate: Path, key: Path) -> None:
        super().__init__(directory=directory)
        self._certificate = certificate
        self._key = key

    def command(self, port: int) -> list[str]:
        """Return the program and its arguments."""
        return [
            str(tools.find("redis-server")),
            *("--port", "0", "--tls-port", str(port), "--bind", LOOPBACK),
            *("--tls-cert-file", str(self._certificate), "--tls-key-file", str(self._key)),
            *("--tls-ca-cert-file", str(self._certificate), "--tls-auth-clients", "no"),
            *("--save", "", "--appendonly", "no"),
        ]

    @cached_property
    def flushing(self) -> Redis:
        """A client that is kept: each reads all certificates that the system trusts."""
        return self.client()

    def stop(self) -> None:
        """Stop it."""
        self.flushing.close()
        super().stop()

    def client(self) -> Redis:
        """Return a client of it."""
        return Redis.from_url(
            f"rediss://{self.address}", ssl_ca_certs=str(self._certificate), socket_timeout=5
        )

    def is_up(self) -> bool:
        """Say whether it answers PING."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except (RedisError, ssl.SSLError, OSError):
            return False


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate for 127.0.0.1 and its key; return both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shardlayer tests")])
    now = datetime.datetime.now(datetime.UTC)
    loopback = x509.IPAddress(ipaddress.ip_address(LOOPBACK))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = directory / "certificate.pem", directory / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_path, key_path


class EmbeddedSentinel(EmbeddedServer):
    """A Sentinel, which watches one primary and votes on its successor."""

    name: ClassVar[str] = "Sentinel"

    def __init__(self, *, directory: Path, primary: EmbeddedValkey, down_after: int) -> None:
        super().__init__(directory=directory)
        self._primary = primary
        self._down_after = down_after

    def prepare(self) -> None:
        """Write the configuration, which a Sentinel rewrites as it learns."""
        primary = f"{LOOPBACK} {self._primary.port}"
        lines = [
            f"port {self.port}",
            f"bind {LOOPBACK}",
            f"sentinel monitor {PRIMARY_NAME} {primary} 2",
            f"sentinel down-after-milliseconds {PRIMARY_NAME} {self._down_after}",
            f"sentinel failover-timeout {PRIMARY_NAME} 3000",
        ]
        (self.directory / "sentinel.conf").write_text("\n".join(lines) + "\n")

    def command(self, port: int) -> list[str]:
        """Return the program and its arguments."""
        return [str(valkey_binary()), "sentinel.conf", "--sentinel"]

    def is_up(self) -> bool:
        """Say whether it answers PING."""
        try:
            with Redis(LOOPBACK, self.port, socket_timeout=5) as client:
                return bool(client.ping())
        except RedisError:
            return False

    def knows_replica(self) -> bool:
        """Say whether it has found the primary's replica and both other Sentinels."""
        with Redis(LOOPBACK, self.port, socket_timeout=5) as client:
            master = client.sentinel_master(PRIMARY_NAME)
            return bool(master["num-slaves"] == 1 and master["num-other-sentinels"] == 2)

    def primary_port(self) -> int:
        """Return the port of the server that it takes for the primary."""
        with Redis(LOOPBACK, self.port, socket_timeout=5) as client:
            port: int = client.sentinel_get_master_addr_by_name(PRIMARY_NAME)[1]
            return port


class SentinelPlace(Place):
    """A primary, its replica, and three Sentinels."""

    def primary(self) -> EmbeddedValkey:
        """Return the server that the Sentinels take for the primary."""
        sentinel = next(server for server in self.servers if isinstance(server, EmbeddedSentinel))
        port = sentinel.primary_port()
        return next(server for server in self._valkeys() if server.port == port)

    def flush(self) -> None:
        self.primary().flush()

    def clients(self) -> list[Redis]:
        return [Redis.from_url(self.primary().url)]

    def _valkeys(self) -> list[EmbeddedValkey]:
        return [server for server in self.servers if isinstance(server, EmbeddedValkey)]


@contextmanager
def sentinel(directory: Path, down_after: int = CALM) -> Iterator[SentinelPlace]:
    """A primary with a replica, watched by three Sentinels that give it `down_after` ms."""
    with ExitStack() as stack:
        primary = stack.enter_context(EmbeddedValkey(directory=directory / "primary"))
        replica_of = ("--replicaof", f"{LOOPBACK} {primary.port}")
        replica = stack.enter_context(
            EmbeddedValkey(directory=directory / "replica", options=replica_of)
        )
        sentinels = [
            stack.enter_context(
                EmbeddedSentinel(
                    directory=directory / f"sentinel-{number}",
                    primary=primary,
                    down_after=down_after,
                )
            )
            for number in range(3)
        ]
        wait_until(lambda: all(sentinel.knows_replica() for sentinel in sentinels))
        host = {
            "master_name": PRIMARY_NAME,
            "sentinels": [(LOOPBACK, sentinel.port) for sentinel in sentinels],
        }
        yield SentinelPlace({"hosts": [host]}, [primary, replica, *sentinels])


class ClusterPlace(Place):
    """Three primaries, each with a replica."""

    def flush(self) -> None:
        for client in self.clients():
            if client.info("replication")["role"] == "master":
                client.flushall()
                client.script_flush()

    def clients(self) -> list[Redis]:
        """Return a client of each node that is up."""
        return [Redis.from_url(server.url) for server in self.valkeys() if server.pid is not None]

    def valkeys(self) -> list[EmbeddedValkey]:
        """Return the nodes, the first three of which began as primaries."""
        return [server for server in self.servers if isinstance(server, EmbeddedValkey)]


@contextmanager
def cluster(directory: Path, down_after: int = CALM) -> Iterator[ClusterPlace]:
    """A Redis Cluster of three primaries and three replicas, which give each other so many ms."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(down_after))
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(EmbeddedValkey(directory=directory / str(number), options=options))
            for number in range(6)
        ]
        place = ClusterPlace({"hosts": [node.url for node in nodes], "cluster": True}, [*nodes])
        clients = place.clients()
        for number, client in enumerate(clients):
            if number < 3:
                first, last = number * 16_384 // 3, (number + 1) * 16_384 // 3 - 1
                tell(client, "ADDSLOTSRANGE", first, last)
            if number:
                tell(client, "MEET", LOOPBACK, nodes[0].port)
        wait_until(lambda: all(_knows(client, 6) for client in clients))
        for number in range(3):
            tell(clients[number + 3], "REPLICATE", tell(clients[number], "MYID"))
        wait_until(lambda: all(_is_well(client) for client in clients))
        for client in clients:
            client.close()
        yield place


def tell(client: Redis, *command: object) -> Any:
    """Send a node a CLUSTER command."""
    return client.execute_command("CLUSTER", *command)  # type: ignore[no-untyped-call]


def cluster_info(client: Redis) -> dict[str, str]:
    """Return what a node says of its Cluster."""
    info = tell(client, "INFO")
    if isinstance(info, bytes):
        return dict(line.split(":", 1) for line in info.decode().split() if ":" in line)
    return {str(key): str(value) for key, value in info.items()}


def _knows(client: Redis, nodes: int) -> bool:
    return cluster_info(client)["cluster_known_nodes"] == str(nodes)


def _is_well(client: Redis) -> bool:
    replicas = client.info("replication")
    linked = replicas["role"] == "master" or replicas["master_link_status"] == "up"
    followed = replicas["role"] != "master" or replicas["connected_slaves"] == 1
    return bool(cluster_info(client)["cluster_state"] == "ok" and linked and followed)


PLACES = {
    "memory": memory,
    "unix": unix_socket,
    "password": with_password,
    "four": four,
    "thirty-two": thirty_two,
    "tls": tls,
    "sentinel": sentinel,
    "cluster": cluster,
}
