"""permessage-deflate: what is agreed on, and what clients send by it, right or wrong."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, cast

import pytest
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from shardlayer.core.compression import Compression
from shardlayer.server.deflate import Agreement, Inflating, MalformedOffer, agree
from shardlayer.server.handshake import Opening
from shardlayer.server.request import Head, read_head
from shardlayer.server.server_counters import counters
from shardlayer.server.websocket_protocol import WebSocketProtocol
from tests.server.client import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    RawClient,
    Received,
    frame,
    request,
)
from tests.server.process import ServerProcess
from tests.server.test_inbox import PausingTransport
from tests.server.test_reading import Host
from tests.waiting import PATIENCE

RSV1, RSV2, RSV3 = 4, 2, 1
MOST = 100_000  # bytes of a message that the server takes
OFFER = "permessage-deflate; client_max_window_bits"
ANSWER = (
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
    "server_max_window_bits=12"
)
TEXT_OF_NEWS = "news, ärger " * 50


def deflated(data: bytes, bits: int = 15) -> bytes:
    """Return the payload of a compressed message."""
    compressor = zlib.compressobj(wbits=-bits)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def ended(data: bytes) -> bytes:
    """Return the payload of a compressed message whose block says that it is the last."""
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush(zlib.Z_FINISH)


def head(*offers: str) -> Head:
    """Return the head of a handshake with these lines of extensions."""
    lines = "".join(f"Sec-WebSocket-Extensions: {offer}\r\n" for offer in offers)
    return read_head(request()[:-2] + lines.encode("latin-1") + b"\r\n")


@pytest.fixture
def client(compressing_server: ServerProcess) -> Iterator[RawClient]:
    """A client that has agreed on compression; what it sends is sent back as it was."""
    opening = request(Sec_WebSocket_Extensions=OFFER)
    with RawClient(compressing_server.connect(), opening) as client:
        assert f"\r\nSec-WebSocket-Extensions: {ANSWER}\r\n" in client.head
        yield client


@pytest.mark.parametrize(
    ("offers", "answer", "bits"),
    [
        (["permessage-deflate"], ANSWER, 15),  # Firefox, Safari
        ([OFFER], ANSWER, 15),  # Chromium, websockets, ws
        (["permessage-deflate; client_max_window_bits=10"], ANSWER, 10),
        (["permessage-deflate; server_max_window_bits=15"], ANSWER, 15),
        (["permessage-deflate; server_max_window_bits=12"], ANSWER, 15),
        (['permessage-deflate; client_max_window_bits="9"'], ANSWER, 9),
        (["permessage-deflate; server_no_context_takeover"], ANSWER, 15),
        (["permessage-deflate; client_no_context_takeover"], ANSWER, 15),
        (["permessage-deflate, permessage-deflate; server_max_window_bits=9"], ANSWER, 15),
        (["permessage-deflate; server_max_window_bits=9, permessage-deflate"], ANSWER, 15),
        (["permessage-deflate; server_max_window_bits=9", "permessage-deflate"], ANSWER, 15),
        (["x-webkit-deflate-frame, permessage-deflate; x=1, permessage-deflate"], ANSWER, 15),
    ],
)
def test_agreed(offers: list[str], answer: str, bits: int) -> None:
    """The first offer that can be taken is, with no window kept on either side."""
    agreement = agree(head(*offers))
    if bits != 15:
        answer += f"; client_max_window_bits={bits}"
    assert agreement == Agreement(answer, bits)


@pytest.mark.parametrize(
    "offer",
    [
        "x-webkit-deflate-frame",
        "permessage-deflate; server_max_window_bits=11",  # a smaller window than ours
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=012",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=x",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits",
        "permessage-bzip2; level=9",
    ],
)
def test_declined(offer: str) -> None:
    """An offer with what is unknown, repeated, or no value is declined (RFC 7692, 5.1 and 7)."""
    assert agree(head(offer)) is None


def test_declined_is_no_error(compressing_server: ServerProcess) -> None:
    """Such a client is served without compression."""
    opening = request(Sec_WebSocket_Extensions="permessage-deflate; server_max_window_bits=9")
    with RawClient(compressing_server.connect(), opening) as client:
        assert client.status == 101
        assert "Extensions" not in client.head
        client.send(frame(TEXT, b"plain"))
        assert client.read() == Received(TEXT, b"plain")


@pytest.mark.parametrize("offer", ["permessage-deflate; =", "a b", 'p; x="', ",,", "p; x=[]"])
def test_malformed(compressing_server: ServerProcess, offer: str) -> None:
    """What is no list of extensions ends the handshake (RFC 6455, 9.1)."""
    with pytest.raises(MalformedOffer):
        agree(head(offer))
    with RawClient(compressing_server.connect(), request(Sec_WebSocket_Extensions=offer)) as client:
        assert client.status == 400
        assert b"Sec-WebSocket-Extensions" in client.rest()


def test_nothing_is_agreed_on_by_default(server: ServerProcess) -> None:
    """Without the option an offer is not looked at, and RSV1 is an error."""
    for offer in (OFFER, "a b"):
        with RawClient(server.connect(), request(Sec_WebSocket_Extensions=offer)) as client:
            assert client.status == 101
            assert "Extensions" not in client.head
            client.send(frame(TEXT, deflated(b"x"), rsv=RSV1))
            assert [received.code for received in client.read_all()] == [1002]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("chop", [None, 1])
def test_messages(client: RawClient, opcode: int, chop: int | None) -> None:
    """Compressed and plain ones come as they were sent; each has a window of its own."""
    data = TEXT_OF_NEWS.encode()
    client.send(frame(opcode, deflated(data), rsv=RSV1), chop)
    client.send(frame(opcode, data), chop)
    client.send(frame(opcode, deflated(b""), rsv=RSV1), chop)
    client.send(frame(opcode, deflated(data), rsv=RSV1), chop)
    sent = [client.read() for _ in range(4)]
    assert sent == [Received(opcode, payload) for payload in (data, data, b"", data)]


def test_fragments(client: RawClient) -> None:
    """A compressed message may come in parts, with control frames between them."""
    data = TEXT_OF_NEWS.encode()
    payload = deflated(data)
    parts = [payload[:1], b"", payload[1:7], payload[7:]]
    for number, part in enumerate(parts):
        is_first, is_last = number == 0, number == len(parts) - 1
        opcode, rsv = (TEXT, RSV1) if is_first else (CONT, 0)
        client.send(frame(opcode, part, fin=is_last, rsv=rsv))
        if not is_last:
            client.send(frame(PING, b"%d" % number))
            assert client.read() == Received(PONG, b"%d" % number)
    assert client.read() == Received(TEXT, data)
    client.send(frame(TEXT, b"plain ", fin=False) + frame(CONT, b"parts"))
    assert client.read() == Received(TEXT, b"plain parts")


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"\xff\xff\xff", rsv=RSV1),
        frame(TEXT, b"\x00\x01", rsv=RSV1),
        frame(PING, b"", rsv=RSV1),
        frame(TEXT, deflated(b"x"), rsv=RSV2),
        frame(TEXT, deflated(b"x"), rsv=RSV1 | RSV3),
        frame(TEXT, deflated(b"x" * 9)[:2], fin=False, rsv=RSV1) + frame(CONT, b"", rsv=RSV1),
        frame(TEXT, ended(b"x"), fin=False, rsv=RSV1) + frame(CONT, b"behind", fin=False),
    ],
    ids=["no deflate", "bad block", "control", "RSV2", "RSV3", "continuation", "behind the end"],
)
def test_errors(client: RawClient, data: bytes) -> None:
    """What is not as agreed ends the connection with 1002, as a reserved bit does."""
    client.send(data)
    assert [(last.opcode, last.code) for last in client.read_all()] == [(CLOSE, 1002)]


@pytest.mark.parametrize("cut", [0, 1, -1])
def test_last_block(client: RawClient, cut: int) -> None:
    """A sender may mark its last block as such, with a byte behind it (RFC 7692, 7.2.3.4)."""
    payload = ended(b"Hello") + b"\0"
    if cut:
        client.send(frame(TEXT, payload[:cut], fin=False, rsv=RSV1) + frame(CONT, payload[cut:]))
    else:
        client.send(frame(TEXT, payload, rsv=RSV1))
    assert client.read() == Received(TEXT, b"Hello")


def test_text_is_utf_8(client: RawClient) -> None:
    """It is looked at when it is inflated: 1007."""
    client.send(frame(TEXT, deflated(b"\xff" * 300), rsv=RSV1))
    assert [last.code for last in client.read_all()] == [1007]


@pytest.mark.parametrize("parts", [1, 5])
def test_bomb(compressing_server: ServerProcess, client: RawClient, parts: int) -> None:
    """A message that grows past the limit on messages: 1009, and it grows no further."""
    before = compressing_server.state()["counters"]["messages_too_large"]
    bomb = deflated(b"x" * 50_000_000)
    assert len(bomb) < MOST
    size = -(-len(bomb) // parts)
    for start in range(0, len(bomb), size):
        part, is_last = bomb[start : start + size], start + size >= len(bomb)
        opcode, rsv = (CONT, 0) if start else (TEXT, RSV1)
        client.send(frame(opcode, part, fin=is_last, rsv=rsv))
    assert [last.code for last in client.read_all()] == [1009]
    assert compressing_server.state()["counters"]["messages_too_large"] == before + 1


def test_as_large_as_may_be(client: RawClient) -> None:
    """The limit is of what comes out, to the byte."""
    client.send(frame(TEXT, deflated(b"x" * MOST), rsv=RSV1))
    assert client.read() == Received(TEXT, b"x" * MOST)
    client.send(frame(TEXT, deflated(b"x" * (MOST + 1)), rsv=RSV1))
    assert [last.code for last in client.read_all()] == [1009]


def test_the_application_s_limit(compressing_server: ServerProcess) -> None:
    """One that the application has lowered holds as well."""
    opening = request("/limited?1000", Sec_WebSocket_Extensions=OFFER)
    with RawClient(compressing_server.connect(), opening) as client:
        client.send(frame(TEXT, deflated(b"x" * 1000), rsv=RSV1))
        assert client.read() == Received(TEXT, b"x" * 1000)
        client.send(frame(TEXT, deflated(b"x" * 1001), rsv=RSV1))
        assert [last.code for last in client.read_all()] == [1009]


def test_growing_counts_as_frames() -> None:
    """What a client has the server inflate counts as if it had sent so many more frames."""
    inflating = Inflating(Agreement(ANSWER, 15))
    for _ in range(3):
        inflating.decode(Frame(Opcode.TEXT, deflated(b"x" * 65_536), rsv1=True), max_size=100_000)
    assert inflating.take_work() == 11
    inflating.decode(Frame(Opcode.TEXT, deflated(b"x" * 1_000), rsv1=True), max_size=100_000)
    assert inflating.take_work() == 1  # what was left over counts on
    inflating.decode(Frame(Opcode.TEXT, b"plain"), max_size=100_000)
    assert inflating.take_work() == 0


def test_codes_without_text_count_as_frames() -> None:
    """Blocks that nothing comes out of are work as well."""
    inflating = Inflating(Agreement(ANSWER, 15))
    empty = b"\0\0\0\xff\xff" * 13_000  # stored blocks of no bytes
    inflating.decode(Frame(Opcode.TEXT, empty, rsv1=True), max_size=100_000)
    assert inflating.take_work() == 15


async def test_who_has_too_much_inflated_is_too_fast() -> None:
    """A client that sends small bombs all the time is closed as one that sends many frames."""
    host = Host(client_frame_rate=10)
    host.compression = Compression()  # type: ignore[attr-defined]
    opening = Opening(request(Sec_WebSocket_Extensions=OFFER), "", (MOST, MOST), compresses=True)
    protocol = WebSocketProtocol(cast(Any, host), opening)
    protocol.makeConnection(cast(Any, PausingTransport()))
    await protocol.send({"type": "websocket.accept"})
    bomb = frame(TEXT, deflated(b"x" * MOST), rsv=RSV1)
    before = counters.fast_closed
    bombs = 0
    while counters.fast_closed == before:
        bombs += 1
        protocol.dataReceived(bomb)
        await protocol.inbox.receive()
    assert 10 < bombs < 30  # of 7 frames' work each
    protocol.connectionLost(None)


def test_websockets_library(compressing_server: ServerProcess) -> None:
    """Its client offers compression by itself, and takes what comes."""
    assert not isinstance(compressing_server.address, str)
    host, port = compressing_server.address
    before = compressing_server.state()["counters"]["compressed"]
    with connect(f"ws://{host}:{port}/echo", proxy=None) as client:
        assert client.response is not None
        assert client.response.headers["Sec-WebSocket-Extensions"] == ANSWER
        for message in (TEXT_OF_NEWS, "", "ä", b"\x00" * 5_000):
            client.send(message)
            assert client.recv(timeout=PATIENCE) == message
    assert compressing_server.state()["counters"]["compressed"] == before + 1
