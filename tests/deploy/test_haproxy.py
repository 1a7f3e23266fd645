"""deploy/haproxy/haproxy.cfg, run by HAProxy itself in front of two nodes."""

from __future__ import annotations

import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from demo.embedded import EmbeddedValkey, free_port
from tests import tools
from tests.contract.places import make_certificate
from tests.deploy.haproxy import CONFIGURATION, ROOT, HAProxy
from tests.deploy.names import NameServer
from tests.deploy.nodes import (
    LARGE,
    ONE,
    SLOW_POST,
    STRANGER,
    STREAM,
    THREE,
    TWO,
    ProxiedNode,
    ask,
    connect,
    get,
    get_from,
    running_nodes,
    status_of,
    told,
)
from tests.server.client import RawClient, request
from tests.waiting import PATIENCE, wait_until

pytestmark = [
    pytest.mark.needs("haproxy"),
    pytest.mark.slow,
    pytest.mark.xdist_group("proxies"),
    pytest.mark.timeout(240),
]

DOCUMENT = (ROOT / "docs" / "deploy.md").read_text()

Start = Callable[..., HAProxy]


@pytest.fixture
def names() -> Iterator[NameServer]:
    """A name server that knows both."""
    with NameServer(ONE, TWO) as server:
        yield server


@contextmanager
def haproxy_before(
    directory: Path,
    names: NameServer,
    port: int,
    configuration: Path | None = None,
    **environ: str,
) -> Iterator[HAProxy]:
    """Run HAProxy until the block ends; inside it knows all nodes."""
    with HAProxy(
        directory,
        names=names.address,
        nodes=f"node:{port}",
        configuration=configuration,
        **environ,
    ) as haproxy:
        for backend in ("sockets", "streams", "pages"):
            wait_until(
                lambda backend=backend: set(haproxy.up(backend)) == set(names.addresses),  # type: ignore[misc]
                what=haproxy.output(),
            )
        yield haproxy


@pytest.fixture
def start(nodes: dict[str, ProxiedNode], names: NameServer, tmp_path: Path) -> Iterator[Start]:
    """Return what starts HAProxy before both nodes, with variables of the configuration."""
    with ExitStack() as stack:
        port = nodes[ONE].port
        yield lambda **environ: stack.enter_context(
            haproxy_before(tmp_path, names, port, **environ)
        )


def test_connections_go_where_the_fewest_are(start: Start) -> None:
    """Arrivals alone leave a difference of one at most, and departures are made up for."""
    haproxy = start()
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(haproxy.port)) for _ in range(21)]
        assert {client.status for client in clients} == {101}
        assert sorted(haproxy.up().values()) == [10, 11]
        for client in clients[::2]:  # those of one node, as arrivals took turns
            client.disconnect()
        wait_until(lambda: sum(haproxy.up().values()) == 10)
        for _ in range(10):
            assert stack.enter_context(connect(haproxy.port)).status == 101
        assert sorted(haproxy.up().values()) == [10, 10]


def test_full_is_said(start: Start) -> None:
    """When no node has room a client is told at once. Pages go on; a free place is taken."""
    haproxy = start(HAPROXY_SOCKETS_PER_NODE="3")
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(haproxy.port)) for _ in range(6)]
        assert {client.status for client in clients} == {101}
        assert haproxy.up() == {ONE: 3, TWO: 3}
        with connect(haproxy.port) as refused:
            assert refused.status == 503
            assert "retry-after: 5" in refused.head.lower()
        status, _ = get(haproxy.port, "/admin/login/")
        assert status == 200
        clients[0].disconnect()
        wait_until(lambda: sum(haproxy.up().values()) == 5)
        assert stack.enter_context(connect(haproxy.port)).status == 101


def test_nodes_say_that_they_are_full(
    redis_server: EmbeddedValkey, names: NameServer, tmp_path: Path
) -> None:
    """A node knows its own limit (`--capacity`): another is tried, then the client is told."""
    with (
        running_nodes(tmp_path, redis_server.url, (ONE, TWO), "--capacity", "8") as nodes,
        haproxy_before(tmp_path, names, nodes[ONE].port) as haproxy,
        ExitStack() as stack,
    ):
        past = [connect(nodes[ONE].port, address=ONE) for _ in range(7)]  # HAProxy knows nothing
        for client in past:
            assert stack.enter_context(client).status == 101
        statuses = []
        while 503 not in statuses:
            statuses.append(stack.enter_context(connect(haproxy.port)).status)
        # One at least went to TWO since ONE said no; requests for health count while they last.
        assert 101 in statuses
        assert haproxy.up().get(TWO, 8) >= len(statuses) - 2
        wait_until(lambda: haproxy.up() == {})  # both say so themselves
        assert get(haproxy.port, "/admin/login/")[0] == 200
        for client in past:
            client.disconnect()
        wait_until(lambda: set(haproxy.up()) == {ONE})
        assert stack.enter_context(connect(haproxy.port)).status == 101


def test_full_house_stays_reachable(
    redis_server: EmbeddedValkey, names: NameServer, tmp_path: Path
) -> None:
    """Nodes that all are full: pages come, clients hear 503, and who stands in front hears 200."""
    capacity = 4
    with (
        running_nodes(tmp_path, redis_server.url, (ONE, TWO), "--capacity", str(capacity)) as nodes,
        haproxy_before(tmp_path, names, nodes[ONE].port) as haproxy,
        ExitStack() as stack,
    ):
        for address, node in nodes.items():
            fill(stack, address, node.port, capacity)
        wait_until(lambda: haproxy.down() == {ONE, TWO})
        assert haproxy.watch("/health")[0] == 200
        with connect(haproxy.port) as refused:
            assert refused.status == 503
            assert "retry-after: 5" in refused.head.lower()
        assert get(haproxy.port, "/admin/login/")[0] == 200


def fill(stack: ExitStack, address: str, port: int, capacity: int) -> None:
    """Take all places of a node. Health checks have one for a moment, so some tries are in vain."""

    def enters() -> bool:
        client = stack.enter_context(connect(port, address=address))
        return client.status == 101

    for _ in range(capacity):
        wait_until(enters)


def test_no_node_is_said(start: Start, names: NameServer) -> None:
    """Without a node clients get 503, and so does a balancer in front that asks for health."""
    haproxy = start()
    assert haproxy.watch("/health")[0] == 200
    names.addresses.clear()
    names.addresses.append(THREE)  # nobody is there
    wait_until(lambda: not haproxy.up())
    with connect(haproxy.port) as refused:
        assert refused.status == 503
    assert haproxy.watch("/health")[0] == 503


def test_streams_take_no_places_of_pages(start: Start) -> None:
    """More streams of events than there are places for pages, and a page comes all the same."""
    haproxy = start()
    with ExitStack() as stack:
        streams = [stack.enter_context(closing(ask(haproxy.port, STREAM))) for _ in range(210)]
        assert {status_of(stream) for stream in streams} == {200}
        assert sorted(haproxy.up("streams").values()) == [105, 105]
        assert get(haproxy.port, "/admin/login/")[0] == 200


def test_no_room_for_a_stream_is_said(start: Start) -> None:
    """At once, as to a WebSocket."""
    haproxy = start(HAPROXY_STREAMS_PER_NODE="1")
    with ExitStack() as stack:
        for status in (200, 200, 503):
            stream = stack.enter_context(closing(ask(haproxy.port, STREAM)))
            assert status_of(stream) == status


def test_streams_are_found_as_the_application_finds_them(start: Start) -> None:
    """Below any root path, whatever slashes are around; and nothing that has a body."""
    haproxy = start()
    paths = ("/sse/", "/sse", "//sse//", "/%73se/", "/sse%2f", "/app/sse/", "/app/sse?room=a")
    for number, path in enumerate(paths, 1):
        with closing(ask(haproxy.port, STREAM.replace(b"/sse/?room=chat.smoke", path.encode()))):
            wait_until(lambda number=number: haproxy.total("streams") == number, what=path)  # type: ignore[misc]
    pages = ("/", "/sse/more", "/session", "/?/sse/")
    for path in pages:
        get(haproxy.port, path)
    with_body = STREAM.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\nx")
    only_head = STREAM.replace(b"GET", b"HEAD")
    with closing(ask(haproxy.port, with_body)), closing(ask(haproxy.port, only_head)):
        wait_until(lambda: haproxy.total("pages") == len(pages) + 2)
    assert haproxy.total("streams") == len(paths)


def test_slow_bodies_take_no_places(start: Start) -> None:
    """A body that trickles waits in HAProxy, for a limited time, and pages go on."""
    haproxy = start(HAPROXY_PAGES_PER_NODE="2")
    with ExitStack() as stack:
        slow = [stack.enter_context(closing(ask(haproxy.port, SLOW_POST))) for _ in range(6)]
        assert get(haproxy.port, "/admin/login/")[0] == 200
        assert {status_of(connection) for connection in slow} == {408}


def test_slow_handshakes_take_no_places(start: Start) -> None:
    """What says that it wants a WebSocket, and has a body, takes the place of a page."""
    haproxy = start(HAPROXY_SOCKETS_PER_NODE="1")
    head = request("/ws/", Host="localhost", Content_Length=str(LARGE))
    body = head.replace(b"GET", b"POST") + bytes(LARGE // 2)
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(closing(ask(haproxy.port, body)))
        wait_until(lambda: haproxy.total("pages") == 4 or sum(haproxy.up().values()) > 0)
        assert stack.enter_context(connect(haproxy.port)).status == 101


WEBSOCKET = request("/ws/", Host="localhost", Origin="http://localhost")
UPGRADE = b"Upgrade: websocket\r\n"


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        (UPGRADE, b"Upgrade: x, websocket\r\n"),
        (UPGRADE, b"Upgrade: websocket, x\r\n"),
        (UPGRADE, b"Upgrade: websocket/13\r\n"),
        (UPGRADE, b"Upgrade: x\r\n" + UPGRADE),
        (UPGRADE, UPGRADE + b"Upgrade: x\r\n"),
        (b"Connection: keep-alive, Upgrade\r\n", b""),
        (b"Connection: keep-alive, Upgrade\r\n", b"Connection: keep-alive\r\n"),
        (b"GET", b"POST"),
        (b"GET", b"HEAD"),
    ],
)
def test_page_takes_no_place_of_a_websocket(start: Start, what: bytes, instead: bytes) -> None:
    """What a node may answer as a page counts as one, whatever it says that it wants."""
    haproxy = start()
    assert what in WEBSOCKET
    asked = WEBSOCKET.replace(what, instead).replace(b"GET /ws/", b"GET /admin/login/")
    with closing(ask(haproxy.port, asked)) as connection:
        assert status_of(connection) != 101
    assert (haproxy.total("pages"), haproxy.total("sockets")) == (1, 0)


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        (b"Upgrade: websocket", b"uPgrade:\tWebSocket "),
        (b"keep-alive, Upgrade", b"upgrade"),
        (b"keep-alive, Upgrade", b"keep-alive,x,UPGRADE"),
        (b"keep-alive, Upgrade", b"keep-alive\r\nConnection: Upgrade"),
    ],
)
def test_websocket_is_found_as_the_node_finds_it(start: Start, what: bytes, instead: bytes) -> None:
    """Whatever the case, the order and the blanks."""
    haproxy = start()
    assert what in WEBSOCKET
    with closing(ask(haproxy.port, WEBSOCKET.replace(what, instead))) as connection:
        assert status_of(connection) == 101
    assert haproxy.total("sockets") == 1


def test_address_has_a_part_of_the_places(start: Start) -> None:
    """Large bodies that stop half way keep places, and not more of them than one address may."""
    haproxy = start(HAPROXY_PAGES_PER_ADDRESS="3")
    half = SLOW_POST + bytes(LARGE // 2)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(closing(ask(haproxy.port, half)))
        wait_until(lambda: sum(haproxy.up("pages").values()) == 3)
        with closing(ask(haproxy.port, half)) as refused:
            assert status_of(refused) == 429
        assert get(haproxy.port, "/admin/login/")[0] == 429
        assert get_from(haproxy.port, STRANGER) == 200
    wait_until(lambda: get(haproxy.port, "/admin/login/")[0] == 200)


def test_addresses_of_ipv4_are_told_apart_behind_ipv6(start: Start) -> None:
    """A socket for both families gives them names in one /64 (RFC 4291 2.5.5.2)."""
    port = free_port()
    haproxy = start(HAPROXY_PAGES_PER_ADDRESS="1", HAPROXY_BIND=f":::{port} v4v6")
    with closing(ask(port, SLOW_POST + bytes(LARGE // 2))):
        wait_until(lambda: sum(haproxy.up("pages").values()) == 1)
        assert get(port, "/admin/login/")[0] == 429
        assert get_from(port, STRANGER) == 200


def test_address_can_not_take_all_places() -> None:
    """By default it may have half of those of one node."""
    text = CONFIGURATION.read_text()
    values = {name: int(n) for name, n in re.findall(r"HAPROXY_PAGES_PER_(\w+)-(\d+)", text)}
    assert 2 * values["ADDRESS"] <= values["NODE"]


def test_nodes_see_their_clients(start: Start, nodes: dict[str, ProxiedNode]) -> None:
    """The address is the client's, whatever the client says that it is."""
    haproxy = start()
    lies = {"X_Forwarded_For": "6.6.6.6", "Daphne_Root_Path": "/evil", "X_Forwarded_Port": "66"}
    with connect(haproxy.port, "/ws/?seen", **lies) as client:
        assert client.status == 101
        place = client.socket.getsockname()
    line = f"127.0.0.1:{place[1]} - - "
    wait_until(lambda: any(line in node.output() for node in nodes.values()))
    assert not any("6.6.6.6" in node.output() for node in nodes.values())


def test_behind_a_balancer_that_appends(
    nodes: dict[str, ProxiedNode], names: NameServer, tmp_path: Path
) -> None:
    """With the line of docs/deploy.md the client is whom the balancer in front has named, last."""
    [line] = re.findall(r"^ +(http-request set-src .*)$", DOCUMENT, re.MULTILINE)
    text = CONFIGURATION.read_text()
    old = "http-request del-header X-Forwarded-For\n"
    assert old in text
    written = tmp_path / "haproxy.cfg"
    written.write_text(text.replace(old, f"{line}\n    {old}"))
    port = nodes[ONE].port
    few = {"HAPROXY_PAGES_PER_ADDRESS": "1"}
    with haproxy_before(tmp_path, names, port, configuration=written, **few) as haproxy:
        with connect(haproxy.port, X_Forwarded_For="6.6.6.6, 10.1.2.3") as client:
            assert client.status == 101
        wait_until(lambda: any("10.1.2.3:" in node.output() for node in nodes.values()))
        assert not any("6.6.6.6" in node.output() for node in nodes.values())
        slow = SLOW_POST.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 10.1.2.3\r\n\r\n")
        with closing(ask(haproxy.port, slow + bytes(LARGE // 2))):
            wait_until(lambda: sum(haproxy.up("pages").values()) == 1)
            for address, status in {"10.1.2.3": 429, "10.1.2.4": 200}.items():
                headers = {"X-Forwarded-For": f"6.6.6.6, {address}"}
                assert get(haproxy.port, "/admin/login/", **headers)[0] == status


def test_refusals_are_counted(start: Start) -> None:
    """What docs/deploy.md says to scale on: clients that got 503, and connections of nodes."""
    haproxy = start(HAPROXY_SOCKETS_PER_NODE="1")
    with ExitStack() as stack:
        for _ in range(2):
            assert stack.enter_context(connect(haproxy.port)).status == 101
        for _ in range(3):
            assert stack.enter_context(connect(haproxy.port)).status == 503
        [name] = re.findall(r"`(haproxy_frontend_http_responses_total\{[^}]*\})`", DOCUMENT)

        def series() -> str:
            figures = haproxy.watch("/metrics")[1]
            [found] = [line for line in figures.splitlines() if line.startswith(name[:-1])]
            return found

        wait_until(lambda: series().endswith(" 3"))
        figures = haproxy.watch("/metrics")[1]
        current = re.findall(
            r'^haproxy_server_current_sessions\{proxy="sockets",server="node-\d"\} (\d+)$',
            figures,
            re.MULTILINE,
        )
        assert sorted(current)[-2:] == ["1", "1"]


def test_tls(start: Start, tmp_path: Path) -> None:
    """HAPROXY_BIND takes a certificate, and nodes know that their clients came by TLS."""
    certificate, key = make_certificate(tmp_path)
    both = tmp_path / "site.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    port = free_port()
    start(HAPROXY_BIND=f"127.0.0.1:{port} ssl crt {both} alpn http/1.1")
    trusting = ssl.create_default_context(cafile=str(certificate))
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain:
        inside = trusting.wrap_socket(plain, server_hostname="127.0.0.1")
        opening = request("/ws/", Host="localhost", Origin="https://localhost")
        with RawClient(inside, opening) as client:
            assert client.status == 101


def test_is_taken_without_a_warning() -> None:
    """HAProxy has nothing to complain of; with -dW it would refuse what it warns of."""
    program = tools.find("haproxy")
    assert program is not None
    checked = subprocess.run(
        [program, "-c", "-dW", "-f", CONFIGURATION], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def test_strangers_see_no_insides(start: Start) -> None:
    """Health and figures are for who runs it."""
    haproxy = start()
    hidden = ("/health", "/health/ready", "/metrics")
    for path in (*hidden, "//metrics", "///health/live", "/%6detrics", "/%2fhealth"):
        status, body = get(haproxy.port, path)
        assert (status, b"status" in body) == (404, False), path
    assert 'haproxy_server_current_sessions{proxy="sockets"' in haproxy.watch("/metrics")[1]


def test_node_that_is_drained_gets_nobody(start: Start, names: NameServer) -> None:
    """`set server … state drain` keeps the connections and sends new ones elsewhere."""
    haproxy = start()
    with ExitStack() as stack:
        stayed = [stack.enter_context(connect(haproxy.port)) for _ in range(4)]
        server = haproxy.name_of(ONE)
        assert haproxy.command(f"set server sockets/{server} state drain").strip() == ""
        wait_until(lambda: set(haproxy.up()) == {TWO})
        for _ in range(4):
            assert stack.enter_context(connect(haproxy.port)).status == 101
        assert haproxy.up() == {TWO: 6}
        assert not any(client.is_cut_off() for client in stayed)


def test_node_that_ends_moves_its_people(
    redis_server: EmbeddedValkey, names: NameServer, tmp_path: Path
) -> None:
    """SIGTERM: its clients are told with 1012, and all of them get in elsewhere at once."""
    with (
        running_nodes(tmp_path, redis_server.url, (ONE, TWO)) as nodes,
        haproxy_before(tmp_path, names, nodes[ONE].port) as haproxy,
        ExitStack() as stack,
    ):
        clients = [stack.enter_context(connect(haproxy.port)) for _ in range(8)]
        assert haproxy.up() == {ONE: 4, TWO: 4}
        assert nodes[ONE].stop() == 0
        wait_until(lambda: haproxy.up() == {TWO: 4})
        assert told(clients) == [1012] * 4
        for _ in range(4):
            assert stack.enter_context(connect(haproxy.port)).status == 101
        assert haproxy.up() == {TWO: 8}


def test_node_that_ends_loses_no_page(
    redis_server: EmbeddedValkey, names: NameServer, tmp_path: Path
) -> None:
    """The name server names it until it is gone, as that of Kubernetes does; clients get in."""
    with (
        running_nodes(tmp_path, redis_server.url, (ONE, TWO)) as nodes,
        haproxy_before(tmp_path, names, nodes[ONE].port) as haproxy,
        ExitStack() as stack,
    ):
        for _ in range(4):
            stack.enter_context(connect(haproxy.port))
        nodes[ONE].send(signal.SIGTERM)
        pages: list[int] = []
        sockets: list[int] = []
        while nodes[ONE].runs() or len(pages) < 3:  # some at least, however soon it is gone
            pages.append(get(haproxy.port, "/admin/login/")[0])
            with connect(haproxy.port) as client:
                sockets.append(client.status)
        assert (set(pages), set(sockets)) == ({200}, {101})


def test_node_that_is_named_before_it_starts(start: Start, names: NameServer) -> None:
    """Nobody is sent away because of a node that the name server names and that is not there."""
    haproxy = start()
    names.addresses.append(THREE)
    wait_until(lambda: f" {THREE} " in haproxy.command("show servers state sockets"))
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(haproxy.port)) for _ in range(6)]
        assert {client.status for client in clients} == {101}
        assert get(haproxy.port, "/admin/login/")[0] == 200


def test_smoke(start: Start) -> None:
    """bin/smoke.py finds that all is well, or why not."""
    haproxy = start()
    command = [sys.executable, str(ROOT / "bin" / "smoke.py"), f"http://localhost:{haproxy.port}"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("30 WebSockets on 2 nodes in ")
    found = subprocess.run([*command, "--room", "orders"], capture_output=True, text=True)
    assert found.returncode == 1
    assert "forbidden" in found.stderr


def test_nodes_come_and_go(
    redis_server: EmbeddedValkey,
    start: Start,
    names: NameServer,
    nodes: dict[str, ProxiedNode],
    tmp_path: Path,
) -> None:
    """A node that the name server names gets connections, and none when it is named no more."""
    haproxy = start()
    node = ProxiedNode(tmp_path, address=THREE, port=nodes[ONE].port, redis_url=redis_server.url)
    with node:
        wait_until(node.is_ready, within=60)
        names.addresses.append(THREE)
        wait_until(lambda: set(haproxy.up()) == {ONE, TWO, THREE})
        names.addresses.remove(THREE)
        wait_until(lambda: set(haproxy.up()) == {ONE, TWO})
