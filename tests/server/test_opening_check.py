"""What is a good opening handshake: the short way gives what websockets gives."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidHandshake
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from shardlayer.server.opening_check import check_opening, ordinary_accept_key
from shardlayer.server.request import BadHead, Head, read_head
from tests.server.client import request

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3

GOOD = {
    "Host": "example.com",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}
CHANGES = {
    "Host": st.sampled_from([None, "", "a, b"]),
    "Connection": st.sampled_from(
        [None, "", "upgrade", "keep-alive, Upgrade", "Upgrade,", "close", "up grade", "a;b"]
    ),
    "Upgrade": st.sampled_from([None, "WebSocket", "websocket, h2c", "websocket/1", "h2c", ""]),
    "Sec-WebSocket-Version": st.sampled_from([None, "8", "13, 8", "013", ""]),
    "Sec-WebSocket-Key": st.one_of(
        st.none(),
        st.sampled_from(["", KEY[:-1], KEY + "=", KEY.replace("Q==", "R=="), "é" * 24, "a b=="]),
        st.text(st.sampled_from("aZ09+/=-_ "), min_size=22, max_size=26),
        st.binary(min_size=14, max_size=18).map(lambda raw: b64encode(raw).decode()),
    ),
    "Sec-WebSocket-Protocol": st.sampled_from(["", "a", "a, b", "a b"]),
    "Sec-WebSocket-Extensions": st.sampled_from(["permessage-deflate; x", ";;", ""]),
    "Origin": st.sampled_from(["https://example.com", "null", ""]),
}


def head_of(fields: list[tuple[str, str]], version: str = "1.1") -> Head | None:
    """Return the head of a request with these headers; None if it is none."""
    lines = [f"GET /ws/ HTTP/{version}", *(f"{name}: {value}" for name, value in fields), "", ""]
    try:
        return read_head("\r\n".join(lines).encode("latin-1"))
    except BadHead:
        return None


def by_websockets(head: Head) -> str | None:
    """Return the key that websockets accepts a handshake with; None if it refuses it."""
    if [name for name, _ in head.headers].count(b"host") != 1:
        return None
    try:
        return ServerProtocol(state=OPEN).process_request(head.request())[0]
    except InvalidHandshake:
        return None


@given(st.data())
def test_both_ways_agree(data: st.DataObject) -> None:
    """What the short way accepts, websockets accepts, and with the same key."""
    fields = dict[str, str | None](GOOD)
    for name in data.draw(st.sets(st.sampled_from(sorted(CHANGES)), max_size=2)):
        fields[name] = data.draw(CHANGES[name])
    items = [(name, value) for name, value in fields.items() if value is not None]
    items += data.draw(st.lists(st.sampled_from([*items, ("X-Other", "1")]), max_size=1))
    head = head_of(items, data.draw(st.sampled_from(["1.1", "1.1", "1.0"])))
    if head is not None:
        key = ordinary_accept_key(head)
        assert key is None or key == by_websockets(head)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"Connection": "keep-alive, Upgrade"},
        {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
        {"Origin": "https://example.com", "Cookie": "a=b"},
    ],
)
def test_browsers_go_the_short_way(changed: dict[str, str]) -> None:
    """Chromium, Firefox and Safari; the answer is that of the RFC."""
    head = head_of([*{**GOOD, **changed}.items()])
    assert head is not None
    assert ordinary_accept_key(head) == ACCEPT


def test_subprotocols_go_the_long_way() -> None:
    """They are parsed by websockets; what is not in order is refused."""
    frames = ServerProtocol(state=OPEN)
    head = read_head(request(Sec_WebSocket_Protocol="a, b"))
    assert ordinary_accept_key(head) is None
    assert check_opening(head, frames)[1] == ["a", "b"]
    with pytest.raises(InvalidHandshake):
        check_opening(read_head(request(Sec_WebSocket_Protocol="a b")), frames)
