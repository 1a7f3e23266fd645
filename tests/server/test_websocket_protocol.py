"""The life of a WebSocket as its client and its application see it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.sync.client import connect
from websockets.utils import accept_key

from tests.server.client import (
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    TEXT,
    RawClient,
    Received,
    close_frame,
    frame,
    request,
)
from tests.server.process import ServerProcess
from tests.waiting import wait_until


def scope_of(server: ServerProcess, opening: bytes) -> dict[str, Any]:
    """Return the scope that the application gets for an opening handshake."""
    with RawClient(server.connect(), opening) as client:
        received = client.read()
        assert received is not None
        return json.loads(received.payload)  # type: ignore[no-any-return]


def test_accepted(server: ServerProcess) -> None:
    """A valid handshake is answered with 101 and the key's digest."""
    with RawClient(server.connect()) as client:
        assert client.status == 101
        assert f"Sec-WebSocket-Accept: {accept_key(KEY)}" in client.head
        assert "Server: daphne" in client.head
        assert "Sec-WebSocket-Protocol" not in client.head


@pytest.mark.parametrize(
    ("opening", "status"),
    [
        (request(Connection="close"), 426),
        (request(Sec_WebSocket_Version="8"), 400),
        (request(Sec_WebSocket_Version=None), 400),
        (request(Sec_WebSocket_Key=None), 400),
        (request(Sec_WebSocket_Key="short"), 400),
        (request(Sec_WebSocket_Protocol="a b"), 400),
        (request(Content_Length="5"), 400),
        (request(X="a\x00b"), 400),
        (request(X="a\x85b"), 400),
        (request(Host=None), 400),
        (request(HOST="other"), 400),
        (request("/scope/\xe9"), 400),
        (request().replace(b"HTTP/1.1", b"HTTP/1.0"), 505),
        (request().replace(b"HTTP/1.1", b"HTTP/3"), 400),
        (request("/" + "a" * 9000), 414),
        (request(X="a" * 9000), 431),
        (request(**{f"X{number}": "" for number in range(130)}), 431),
    ],
    ids=lambda value: str(value)[:60],
)
def test_bad_handshake(server: ServerProcess, opening: bytes, status: int) -> None:
    """A bad handshake gets its HTTP status, and the connection ends."""
    with RawClient(server.connect(), opening) as client:
        assert client.status == status
        assert client.rest()


@pytest.mark.parametrize(
    "opening",
    [
        request(Sec_WebSocket_Key="<b>evil</b>"),
        request(Sec_WebSocket_Version="<b>evil</b>"),
        request(Sec_WebSocket_Protocol="<b>evil</b>"),
        request(Connection="evil"),
        request(Content_Length="evil"),
        request(X="evil\x00"),
        request(**{"X evil": ""}),
        request().replace(b"HTTP/1.1", b"HTTP/evil"),
        request("/evil\xe9"),
    ],
    ids=["key", "version", "protocol", "connection", "length", "nul", "name", "http", "target"],
)
def test_refusal_repeats_nothing(server: ServerProcess, opening: bytes) -> None:
    """The answer to a bad handshake has no part of what the client sent."""
    with RawClient(server.connect(), opening) as client:
        assert 400 <= client.status < 500 or client.status == 505
        assert "evil" not in client.head + client.rest().decode()


def test_scope(server: ServerProcess) -> None:
    """The scope has what Daphne's has, the scheme and the HTTP version."""
    opening = request(
        "/scope?a=%20b&c", Cookie="a=1", X_Twice="1", X_TWICE="2", Sec_WebSocket_Protocol="v1, v2"
    )
    scope = scope_of(server, opening)
    client, host = scope.pop("client"), scope.pop("server")
    assert client[0] == "127.0.0.1"
    assert host == list(server.address)
    headers = [
        (b"host", b"test"),
        (b"upgrade", b"websocket"),
        (b"connection", b"keep-alive, Upgrade"),
        (b"sec-websocket-key", KEY.encode()),
        (b"sec-websocket-version", b"13"),
        (b"cookie", b"a=1"),
        (b"x-twice", b"1"),
        (b"x-twice", b"2"),
        (b"sec-websocket-protocol", b"v1, v2"),
    ]
    assert scope.pop("headers") == [[repr(name), repr(value)] for name, value in headers]
    assert "SocketSink" in scope["extensions"].pop("shardlayer")["sink"]
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/scope",
        "raw_path": repr(b"/scope"),
        "root_path": "",
        "query_string": repr(b"a=%20b&c"),
        "subprotocols": ["v1", "v2"],
        "extensions": {"websocket.http.response": {}},
    }


def test_scope_can_be_copied(server: ServerProcess) -> None:
    """A copy has the same sink; what was pickled has none, as on other servers."""
    with RawClient(server.connect(), request("/copied?a=1")) as client:
        found = [json.loads(received.payload) for _ in range(3) if (received := client.read())]
    assert found == [[True, True], [True, True], [True, False, None]]


def test_proxy_headers_not_believed(server: ServerProcess) -> None:
    """Without --proxy-headers what a client says about itself is only a header."""
    scope = scope_of(
        server, request("/scope", X_Forwarded_For="1.2.3.4", X_Forwarded_Proto="https")
    )
    assert scope["client"][0] == "127.0.0.1"
    assert scope["scheme"] == "ws"


def test_subprotocol(server: ServerProcess) -> None:
    """The application's choice among the offered subprotocols is in the answer."""
    opening = request("/accept?subprotocol=v2", Sec_WebSocket_Protocol="v1, v2")
    with RawClient(server.connect(), opening) as client:
        assert client.status == 101
        assert "Sec-WebSocket-Protocol: v2\r\n" in client.head


def test_subprotocol_not_offered(server: ServerProcess) -> None:
    """A subprotocol that the client did not offer is the application's error: 500."""
    opening = request("/accept?subprotocol=v3", Sec_WebSocket_Protocol="v1, v2")
    with RawClient(server.connect(), opening) as client:
        assert client.status == 500


def test_headers_of_accept(server: ServerProcess) -> None:
    """Headers that the application accepts with are in the answer."""
    with RawClient(server.connect(), request("/accept?header=X-Mine:yes")) as client:
        assert client.status == 101
        assert "X-Mine: yes\r\n" in client.head


@pytest.mark.parametrize(
    "header", ["X-Mine:a%0d%0aX-Other:b", "X%20Mine:a", "Upgrade:h2c", "Connection:close"]
)
def test_bad_headers_of_accept(server: ServerProcess, header: str) -> None:
    """Headers that would break the answer are the application's error: 500."""
    with RawClient(server.connect(), request(f"/accept?header={header}")) as client:
        assert client.status == 500
        assert "X-Other" not in client.head


def test_answer_and_first_message_are_one_write(server: ServerProcess) -> None:
    """What an application sends as it accepts leaves together with the handshake's answer."""
    with server.connect() as connection:
        connection.sendall(request("/scope"))
        head, _, message = connection.recv(65536).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert message.endswith(b"}")


@pytest.mark.parametrize(("chosen", "sent"), [("b%20c", "b%20c"), ("b%2520c", "b%20c"), ("d", "d")])
def test_encoded_subprotocol(server: ServerProcess, chosen: str, sent: str) -> None:
    """A subprotocol that the scope has percent-decoded is accepted, and sent as it was offered."""
    opening = request(f"/accept?subprotocol={chosen}", Sec_WebSocket_Protocol="a, b%20c, d")
    with RawClient(server.connect(), opening) as client:
        assert client.status == 101
        assert f"Sec-WebSocket-Protocol: {sent}\r\n" in client.head


@pytest.mark.parametrize("value", ["", " ", ",", " , "])
def test_empty_subprotocol_header(server: ServerProcess, value: str) -> None:
    """A client that offers nothing in that header offers nothing: React Native sends it so."""
    scope = scope_of(server, request("/scope", Sec_WebSocket_Protocol=value))
    assert scope["subprotocols"] == []


def test_rejected(server: ServerProcess) -> None:
    """Closing before accepting is HTTP 403, and the application hears of the end."""
    before = len(server.state()["disconnects"])
    with RawClient(server.connect(), request("/reject")) as client:
        assert client.status == 403
        assert client.rest() == b"Access denied.\n"
    wait_until(lambda: len(server.state()["disconnects"]) > before)
    assert server.state()["disconnects"][-1]["code"] == 1006


def test_denied_with_a_response(server: ServerProcess) -> None:
    """The application can refuse with a whole HTTP response of its own."""
    with RawClient(server.connect(), request("/deny")) as client:
        assert client.head.startswith("HTTP/1.1 429 Too Many Requests\r\n")
        assert "content-type: text/x-why\r\n" in client.head
        assert "x-why: because\r\n" in client.head
        assert client.rest() == b"not now"


def test_application_fails_before_accepting(server: ServerProcess) -> None:
    """An application that raises before it accepts makes HTTP 500."""
    with RawClient(server.connect(), request("/crash")) as client:
        assert client.status == 500


def test_application_fails_when_open(server: ServerProcess) -> None:
    """An application that raises later closes with 1011."""
    with RawClient(server.connect(), request("/crash?open")) as client:
        close = client.read()
        assert close is not None
        assert (close.opcode, close.code) == (CLOSE, 1011)


def test_application_leaves(server: ServerProcess) -> None:
    """A connection whose application has returned is closed, not left to nobody."""
    unanswered = server.connect()
    unanswered.sendall(request("/leave"))
    with unanswered, RawClient(server.connect(), request("/leave?open")) as client:
        close = client.read()
        assert close is not None
        assert (close.opcode, close.code) == (CLOSE, 1000)
        assert unanswered.recv(4096).startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        ("/close?code=1000", 1000, b""),
        ("/close?code=1012&reason=restart", 1012, b"restart"),
        ("/close?code=4003&reason=" + "%C3%A9" * 100, 4003, "é".encode() * 61),
    ],
)
def test_closed_by_the_application(
    server: ServerProcess, path: str, code: int, reason: bytes
) -> None:
    """Any valid code goes out, with as much of the reason as fits, and nothing after it."""
    before = len(server.state()["disconnects"])
    with RawClient(server.connect(), request(path)) as client:
        close = client.read()
        assert close is not None
        assert (close.opcode, close.code, close.payload[2:]) == (CLOSE, code, reason)
        client.send(frame(PING, b"too late") + close_frame(code))
        assert client.read_all() == []
    wait_until(lambda: len(server.state()["disconnects"]) > before)
    assert server.state()["disconnects"][-1]["code"] == code


@pytest.mark.parametrize("code", [0, 999, 1005, 1006, 1015, 2999, 5000])
def test_bad_close_code_of_the_application(server: ServerProcess, code: int) -> None:
    """A code that may not be sent is the application's error: 1011."""
    with RawClient(server.connect(), request(f"/close?code={code}")) as client:
        close = client.read()
        assert close is not None
        assert close.code == 1011


@pytest.mark.parametrize(
    ("sends", "code", "reason"),
    [
        (close_frame(4001, b"bye"), 4001, "bye"),
        (frame(CLOSE), 1005, ""),
        (frame(TEXT, b"\xff"), 1007, None),
        (b"", 1006, ""),
    ],
    ids=["code", "no-code", "failed", "dropped"],
)
def test_disconnect_message(
    server: ServerProcess, sends: bytes, code: int, reason: str | None
) -> None:
    """The application gets the client's close code and reason, ours, or 1006."""
    before = len(server.state()["disconnects"])
    with RawClient(server.connect()) as client:
        client.send(sends)
        if sends:
            client.read_all()
    wait_until(lambda: len(server.state()["disconnects"]) > before)
    message = server.state()["disconnects"][-1]
    assert message["code"] == code
    if reason is not None:
        assert message["reason"] == reason


def test_message_limit(server: ServerProcess) -> None:
    """A message over the limit closes with 1009, in one frame or in fragments."""
    limit = 1024 * 1024
    for sends in (
        frame(TEXT, b"a" * (limit + 1)),
        frame(TEXT, b"a" * limit, fin=False) + frame(CONT, b"a"),
    ):
        with RawClient(server.connect()) as client:
            client.send(sends)
            (close,) = client.read_all()
            assert (close.opcode, close.code) == (CLOSE, 1009)


def test_frame_sent_before_the_answer(server: ServerProcess) -> None:
    """Frames that come with the handshake are kept until the application accepts."""
    with RawClient(server.connect(), request() + frame(TEXT, b"early")) as client:
        assert client.read() == Received(TEXT, b"early")


def test_answer_within_a_broken_read(server: ServerProcess) -> None:
    """Invalid text wins over a close frame behind it in the same write."""
    with RawClient(server.connect()) as client:
        client.send(frame(TEXT, b"\xff") + close_frame(1000))
        (close,) = client.read_all()
        assert close.code == 1007


def test_unmasked_frame(server: ServerProcess) -> None:
    """A frame without a mask is a protocol error."""
    with RawClient(server.connect()) as client:
        client.send(frame(TEXT, b"hello", mask=False))
        (close,) = client.read_all()
        assert close.code == 1002


def test_flow_control(server: ServerProcess) -> None:
    """While the application is behind the client is not read, and again when it catches up."""
    count = 300
    messages = frame(TEXT, b"x" * 60_000) * count
    with RawClient(server.connect(), request("/gated")) as client:
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):  # the kernel's buffers are full, and ours have a limit
            client.socket.sendall(messages)
        server.get("/open")
        wait_until(lambda: server.state()["received"])
        assert server.state()["received"][0] == 60_000


def test_pongs_are_not_flow_controlled(server: ServerProcess) -> None:
    """Pings between messages are answered in order."""
    with RawClient(server.connect()) as client:
        client.send(frame(PING, b"1") + frame(TEXT, b"2") + frame(PING, b"3"))
        pongs = [received for _ in range(3) if (received := client.read())]
        assert [pong.payload for pong in pongs if pong.opcode == PONG] == [b"1", b"3"]


def test_upgrade_behind_a_pipelined_request(server: ServerProcess) -> None:
    """What is asked for before an upgrade is answered whole before the 101."""
    size = 3_000_000
    connection = server.connect(receive_buffer=4096)
    first = f"GET /large?{size} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
    connection.sendall(first + request("/scope"))
    answer = connection.makefile("rb")
    while answer.readline() != b"\r\n":
        pass
    assert answer.read(size) == b"x" * size
    assert answer.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
    while answer.readline() != b"\r\n":
        pass
    frame_type, _ = answer.read(2)
    assert frame_type == 0x80 | TEXT
    answer.close()
    connection.close()


def test_refusal_behind_a_pipelined_request(server: ServerProcess) -> None:
    """So it is before a refusal, of the server's own or the application's."""
    size = 500_000
    for opening, status in ((request("/reject"), b"403"), (request(Host=None), b"400")):
        connection = server.connect(receive_buffer=4096)
        first = f"GET /large?{size} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
        connection.sendall(first + opening)
        with connection, connection.makefile("rb") as answer:
            while answer.readline() != b"\r\n":
                pass
            assert answer.read(size) == b"x" * size
            assert answer.readline().split()[1] == status


def test_upgrade_on_a_kept_alive_connection(server: ServerProcess) -> None:
    """A connection that has served HTTP becomes a WebSocket with all that this server offers."""
    connection = server.connect()
    connection.sendall(b"GET /before HTTP/1.1\r\nHost: test\r\n\r\n")
    answer = b""
    while not answer.endswith(b"GET "):
        answer += connection.recv(4096)
    with RawClient(connection, request("/scope?kept")) as client:
        assert client.status == 101
        received = client.read()
        assert received is not None
        scope = json.loads(received.payload)
        assert scope["query_string"] == repr(b"kept")
        assert "SocketSink" in scope["extensions"]["shardlayer"]["sink"]


def test_library_client(server: ServerProcess) -> None:
    """A WebSocket library that offers compression finds nothing to complain about."""
    with connect("ws://test/echo", sock=server.connect(), proxy=None) as client:
        client.send("hello")
        assert client.recv() == "hello"
    assert client.close_code == 1000
