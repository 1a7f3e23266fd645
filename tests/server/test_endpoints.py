"""Each way to listen: HTTP and WebSockets side by side on all of them."""

from __future__ import annotations

import datetime
import json
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shardlayer.server.endpoints import with_backlog
from tests.server.client import CLOSE, TEXT, RawClient, Received, frame, request
from tests.server.conftest import LOOPBACK
from tests.server.process import ServerProcess
from tests.waiting import wait_until

PROXY = b"PROXY TCP4 192.0.2.7 198.51.100.1 5555 443\r\n"


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate for localhost; return its path and its key's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = directory / "cert.pem", directory / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_path, key_path


def tls(connection: socket.socket, certificate: Path) -> ssl.SSLSocket:
    """Return the connection with TLS on it."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context.wrap_socket(connection, server_hostname="localhost")


def tls_options(directory: Path) -> tuple[Path, list[str]]:
    """Return the path of a new certificate, and the options of a server that has it."""
    certificate, key = make_certificate(directory)
    where = f"privateKey={key}:certKey={certificate}"
    return certificate, ["-e", f"ssl:port=0:interface=127.0.0.1:{where}"]


class Endpoint:
    """A server and how its clients come in.

    Attributes:
        kind: tcp, unix, ssl or haproxy.
    """

    def __init__(self, kind: str, server: ServerProcess, certificate: Path | None = None) -> None:
        self.kind = kind
        self.server = server
        self._certificate = certificate

    def slow_closed(self) -> int:
        """Return how many clients the server has closed for being slow."""
        return int(self.state()["counters"]["slow_closed"])

    def members(self) -> int:
        """Return how many clients are in the room, those included that it still writes to."""
        return int(self.state()["members"])

    def state(self) -> dict[str, Any]:
        """Return what the application of the tests knows."""
        with self.connect() as connection, connection.makefile("rb") as answer:
            connection.sendall(b"GET /state HTTP/1.0\r\n\r\n")
            state: dict[str, Any] = json.loads(answer.read().partition(b"\r\n\r\n")[2])
        return state

    def connect(self) -> socket.socket:
        """Return a connection that is ready for HTTP."""
        connection = self.server.connect()
        if self._certificate is not None:
            return tls(connection, self._certificate)
        if self.kind == "haproxy":
            connection.sendall(PROXY)
        return connection


@pytest.fixture(scope="module", params=["tcp", "unix", "ssl", "haproxy"])
def endpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoint]:
    """Each kind of endpoint in turn."""
    kind: str = request.param
    directory = tmp_path_factory.mktemp(kind)
    certificate = None
    if kind == "unix":
        options = ["-u", str(directory / "socket")]
    elif kind == "ssl":
        certificate, options = tls_options(directory)
    elif kind == "haproxy":
        options = ["-e", "haproxy:tcp:port=0:interface=127.0.0.1"]
    else:
        options = list(LOOPBACK)
    options += ["--client-buffer-limit", "200000"]
    with ServerProcess(directory, *options) as server:
        yield Endpoint(kind, server, certificate)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("tcp:8000", "tcp:8000:backlog=9"),
        ("tcp:port=0:interface=127.0.0.1", "tcp:port=0:interface=127.0.0.1:backlog=9"),
        ("tcp:8000:interface=\\:\\:1", "tcp:8000:interface=\\:\\:1:backlog=9"),
        ("haproxy:tcp:8000", "haproxy:tcp:8000:backlog=9"),
        ("ssl:443:privateKey=k", "ssl:443:privateKey=k:backlog=9"),
        ("unix:/run/app.sock", "unix:/run/app.sock:backlog=9"),
        ("tcp:8000:backlog=5", "tcp:8000:backlog=5"),
        ("tcp:8000:127.0.0.1:5", "tcp:8000:127.0.0.1:5"),
        ("fd:fileno=3", "fd:fileno=3"),
        ("systemd:domain=INET:index=0", "systemd:domain=INET:index=0"),
    ],
)
def test_backlog(text: str, result: str) -> None:
    """Endpoints that listen get the length of the kernel's queue, unless they name one."""
    assert with_backlog(text, 9) == result


def test_many_connect_at_once(tmp_path: Path) -> None:
    """While the server is busy, the kernel takes more connections than Twisted's 50."""
    with ServerProcess(tmp_path, *LOOPBACK) as server, ExitStack() as stack:
        server.process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(200):
                connection = stack.enter_context(socket.socket())
                connection.settimeout(0.5)  # less than until a dropped packet is sent again
                connection.connect(server.address)
        finally:
            server.process.send_signal(signal.SIGCONT)


def test_echo(endpoint: Endpoint) -> None:
    """Messages small and large come back, and the closing handshake completes."""
    with RawClient(endpoint.connect()) as client:
        for payload in (b"hello", b"x" * 1_000_000):
            client.send(frame(TEXT, payload))
            assert client.read() == Received(TEXT, payload)
        (close,) = client.finish()
        assert (close.opcode, close.code) == (CLOSE, 1000)


def test_scope_of_each(endpoint: Endpoint) -> None:
    """The scope tells the client's address and the scheme, and the sink fits the transport."""
    with RawClient(endpoint.connect(), request("/scope")) as client:
        received = client.read()
        assert received is not None
        scope = json.loads(received.payload)
    sink = scope["extensions"]["shardlayer"]["sink"]
    assert scope["scheme"] == ("wss" if endpoint.kind == "ssl" else "ws")
    if endpoint.kind == "unix":
        assert scope["client"] is scope["server"] is None
    elif endpoint.kind == "haproxy":
        assert scope["client"] == ["192.0.2.7", 5555]
        assert scope["server"] == ["198.51.100.1", 443]
    else:
        assert scope["client"][0] == "127.0.0.1"
    # A direct write on a wrapped transport would put plain text into the TLS session.
    assert ("TransportSink" in sink) == (endpoint.kind in ("ssl", "haproxy"))


@pytest.mark.parametrize("application", ["application", "http2_application"])
def test_alpn(tmp_path: Path, application: str) -> None:
    """A client that speaks HTTP/2, too, hears that the server does not, whatever is installed."""
    certificate, options = tls_options(tmp_path)
    with (
        ServerProcess(
            tmp_path, *options, application=f"tests.server.{application}:application"
        ) as server,
        tls(server.connect(), certificate) as connection,
    ):
        assert connection.selected_alpn_protocol() == "http/1.1"
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with connection.makefile("rb") as answer:
            assert answer.read().endswith(b"GET ")


def test_http_2_is_refused(endpoint: Endpoint) -> None:
    """Also from a client that asks nobody whether the server speaks it."""
    with endpoint.connect() as connection, connection.makefile("rb") as answer:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert answer.read().startswith(b"HTTP/1.1 400 ")


def test_http(endpoint: Endpoint) -> None:
    """GET, POST in pieces, pipelined requests and kept-alive connections are Daphne's HTTP."""
    with endpoint.connect() as connection, connection.makefile("rb") as answers:

        def body() -> bytes:
            assert answers.readline().split()[1] == b"200"
            length = 0
            while (line := answers.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            return answers.read(length)

        connection.sendall(b"GET / HTTP/1.1\r\n")
        connection.sendall(b"Host: test\r\n\r\n")
        assert body() == b"GET "
        connection.sendall(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nab")
        connection.sendall(b"cd")
        assert body() == b"POST abcd"
        connection.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" * 3)
        assert [body() for _ in range(3)] == [b"GET "] * 3


def test_frame_right_behind_an_upgrade(endpoint: Endpoint) -> None:
    """A client that does not wait for its answer loses nothing, nor on a connection kept alive."""
    opening = request() + frame(TEXT, b"early")
    with endpoint.connect() as connection, RawClient(connection, opening) as websocket:
        assert websocket.read() == Received(TEXT, b"early")
    with endpoint.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        said = b""
        while not said.endswith(b"\r\n\r\nGET "):
            said += connection.recv(65536)
        with RawClient(connection, opening) as websocket:
            assert websocket.read() == Received(TEXT, b"early")


@pytest.mark.parametrize("first", [b"P", b"G"])
def test_single_first_byte(endpoint: Endpoint, first: bytes) -> None:
    """A request whose first byte comes alone is served."""
    with endpoint.connect() as connection:
        connection.sendall(first)
        method = {b"P": b"PUT", b"G": b"GET"}[first]
        connection.sendall(method[1:] + b" / HTTP/1.0\r\n\r\n")
        with connection.makefile("rb") as answer:
            assert answer.read().endswith(method + b" ")


def test_head_too_large(endpoint: Endpoint) -> None:
    """A request whose head doesn't end is refused."""
    with endpoint.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + (b"X: " + b"a" * 4000 + b"\r\n") * 5)
        assert connection.recv(4096).startswith(b"HTTP/1.1 431 ")


def test_broadcast(endpoint: Endpoint) -> None:
    """Broadcasts arrive in order, also when more is written at once than a buffer takes."""
    with RawClient(endpoint.connect(), request("/room")) as client:
        client.send(frame(TEXT, json.dumps({"broadcast": 150, "size": 1000}).encode()))
        for number in range(150):
            received = client.read()
            assert received is not None
            assert int(json.loads(received.payload)[:8]) == number


def test_slow_client_on_each(endpoint: Endpoint) -> None:
    """A client that does not read is closed for being slow, whatever the transport."""
    with RawClient(endpoint.connect(), request("/room")) as client:
        before = endpoint.slow_closed()
        command = {"broadcast": 400, "size": 100_000, "pause": 0}
        client.send(frame(TEXT, json.dumps(command).encode()))
        wait_until(lambda: endpoint.slow_closed() > before)
        *texts, close = client.read_to_close()
        assert (close.opcode, close.code) == (CLOSE, 4008)
        assert len(texts) < 400
    wait_until(lambda: endpoint.members() == 0)  # the room is the next test's


def test_handshake_refused_on_each(endpoint: Endpoint) -> None:
    """A refusal is read whole on each transport."""
    with RawClient(endpoint.connect(), request("/reject")) as client:
        assert client.status == 403
        assert client.rest() == b"Access denied.\n"


def test_no_error_logged(endpoint: Endpoint) -> None:
    """None of this is worth a line of error."""
    assert endpoint.server.errors() == []
