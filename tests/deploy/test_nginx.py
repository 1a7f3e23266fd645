"""deploy/nginx/nginx.conf, run by nginx itself in front of two nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest

from demo.embedded import EmbeddedValkey
from demo.embedded.ports import answers
from tests.deploy.nginx import Nginx
from tests.deploy.nodes import (
    ONE,
    SLOW_POST,
    STRANGER,
    STREAM,
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
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.needs("nginx"),
    pytest.mark.slow,
    pytest.mark.xdist_group("proxies"),
    pytest.mark.timeout(240),
]

Start = Callable[..., Nginx]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return what starts nginx before some nodes."""
    with ExitStack() as stack:

        def start(nodes: dict[str, ProxiedNode], most_sockets: int = 4000) -> Nginx:
            places = [f"{node.address}:{node.port}" for node in nodes.values()]
            nginx = stack.enter_context(Nginx(tmp_path, nodes=places, most_sockets=most_sockets))
            wait_until(lambda: answers(nginx.port), what=nginx.output())
            return nginx

        yield start


def test_connections_go_where_the_fewest_are(start: Start, nodes: dict[str, ProxiedNode]) -> None:
    """Arrivals alone leave a difference of one at most."""
    nginx = start(nodes)
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(nginx.port)) for _ in range(21)]
        assert {client.status for client in clients} == {101}
        assert sorted(node.connections() for node in nodes.values()) == [10, 11]


def test_full_is_said(start: Start, nodes: dict[str, ProxiedNode]) -> None:
    """When no node has room a client is told. Pages go on; a free place is taken."""
    nginx = start(nodes, most_sockets=3)
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(nginx.port)) for _ in range(6)]
        assert {client.status for client in clients} == {101}
        with connect(nginx.port) as refused:
            assert refused.status == 503
            assert "retry-after: 5" in refused.head.lower()
        assert get(nginx.port, "/admin/login/")[0] == 200
        clients[0].disconnect()
        wait_until(lambda: sum(node.connections() for node in nodes.values()) == 5)
        assert stack.enter_context(connect(nginx.port)).status == 101


def test_nodes_say_that_they_are_full(
    redis_server: EmbeddedValkey, start: Start, tmp_path: Path
) -> None:
    """A node knows its own limit (`--capacity`): another is tried, then the client is told."""
    capacity = ("--capacity", "4")
    with (
        running_nodes(tmp_path, redis_server.url, (ONE, TWO), *capacity) as nodes,
        ExitStack() as stack,
    ):
        nginx = start(nodes)
        for _ in range(4):  # past nginx
            past = connect(nodes[ONE].port, address=ONE)
            assert stack.enter_context(past).status == 101
        for _ in range(4):
            assert stack.enter_context(connect(nginx.port)).status == 101
        assert nodes[TWO].connections() == 4
        with connect(nginx.port) as refused:
            assert refused.status == 503
            assert "retry-after: " in refused.head.lower()
        assert get(nginx.port, "/admin/login/")[0] == 200


@pytest.mark.parametrize("path", [b"/sse/", b"/sse", b"//%73se//"])
def test_streams_take_no_places_of_pages(
    start: Start, nodes: dict[str, ProxiedNode], path: bytes
) -> None:
    """More streams of events than there are places for pages, and a page comes all the same."""
    nginx = start(nodes)
    asked = STREAM.replace(b"/sse/", path)
    with ExitStack() as stack:
        streams = [stack.enter_context(closing(ask(nginx.port, asked))) for _ in range(210)]
        assert {status_of(stream) for stream in streams} == {200}
        assert sorted(node.connections() for node in nodes.values()) == [105, 105]
        assert get(nginx.port, "/admin/login/")[0] == 200


def test_address_has_a_part_of_the_places(start: Start, nodes: dict[str, ProxiedNode]) -> None:
    """Requests that take long are limited for each address. Bodies that trickle reach no node."""
    nginx = start(nodes)
    with ExitStack() as stack:
        slow = partial(ask, nginx.port, SLOW_POST)
        for _ in range(50):
            stack.enter_context(closing(slow()))

        def is_refused() -> bool:
            if get(nginx.port, "/admin/login/")[0] == 429:
                return True
            stack.enter_context(closing(slow()))  # one has had its time, on a machine that is slow
            return False

        wait_until(is_refused)
        assert get_from(nginx.port, STRANGER) == 200
        assert sum(node.connections() for node in nodes.values()) == 0
        assert stack.enter_context(connect(nginx.port)).status == 101
    wait_until(lambda: get(nginx.port, "/admin/login/")[0] == 200)


def test_nodes_see_their_clients(start: Start, nodes: dict[str, ProxiedNode]) -> None:
    """The address is the client's, whatever the client says that it is."""
    nginx = start(nodes)
    lies = {"X_Forwarded_For": "6.6.6.6", "Daphne_Root_Path": "/evil", "X_Forwarded_Port": "66"}
    with connect(nginx.port, "/ws/?seen", **lies) as client:
        assert client.status == 101
        place = client.socket.getsockname()
    line = f"127.0.0.1:{place[1]} - - "
    wait_until(lambda: any(line in node.output() for node in nodes.values()))
    assert not any("6.6.6.6" in node.output() for node in nodes.values())


def test_strangers_see_no_insides(start: Start, nodes: dict[str, ProxiedNode]) -> None:
    """Health and figures are for who runs it."""
    nginx = start(nodes)
    for path in ("/health", "/health/ready", "/metrics"):
        assert get(nginx.port, path)[0] == 404


def test_node_that_ends_moves_its_people(
    redis_server: EmbeddedValkey, start: Start, tmp_path: Path
) -> None:
    """SIGTERM: its clients are told with 1012, and all of them get in elsewhere at once."""
    with running_nodes(tmp_path, redis_server.url, (ONE, TWO)) as nodes, ExitStack() as stack:
        nginx = start(nodes)
        clients = [stack.enter_context(connect(nginx.port)) for _ in range(8)]
        assert [node.connections() for node in nodes.values()] == [4, 4]
        assert nodes[ONE].stop() == 0
        assert told(clients) == [1012] * 4
        for _ in range(4):
            assert stack.enter_context(connect(nginx.port)).status == 101
        assert nodes[TWO].connections() == 8
