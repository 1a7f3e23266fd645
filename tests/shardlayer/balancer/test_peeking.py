"""What a client wants, told from its first bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardlayer.balancer.peeking import MAX_PEEK, FirstBytes, what_is_wanted
from tests.server.client import request

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 5555 443\r\n"
V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + b"\x00" * 12
PAGE = b"GET /admin/ HTTP/1.1\r\nHost: test\r\n\r\n"
WEBSOCKET = request()
TLS = b"\x16\x03\x01\x02\x00\x01"


@pytest.mark.parametrize("front", [b"", V1, V2], ids=["plain", "v1", "v2"])
@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (PAGE, FirstBytes.PAGE),
        (b"POST /a HTTP/1.1\r\nUpgrade: h2c\r\n\r\nbody", FirstBytes.PAGE),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", FirstBytes.PAGE),
        (b"GET / HTTP/1.0\r\n\r\n\r\nUpgrade: websocket\r\n", FirstBytes.PAGE),
        (WEBSOCKET, FirstBytes.WEBSOCKET),
        (WEBSOCKET.replace(b"Upgrade: websocket", b"UPGRADE:WebSocket "), FirstBytes.WEBSOCKET),
        (TLS, FirstBytes.TLS),
        (b"SSH-2.0-OpenSSH\r\n\r\n", FirstBytes.OTHER),
        (b"\x00\x01\r\n\r\n", FirstBytes.OTHER),
        (b"G" * MAX_PEEK, FirstBytes.OTHER),
    ],
)
def test_what_is_wanted(front: bytes, data: bytes, wanted: FirstBytes) -> None:
    """With the header of a proxy in front, or without."""
    assert what_is_wanted(front + data) is wanted


@pytest.mark.parametrize("data", [PAGE, WEBSOCKET, V1 + PAGE, V2 + WEBSOCKET, V1 + TLS[:1]])
def test_less_than_a_head(data: bytes) -> None:
    """Every beginning of it asks for more."""
    assert {what_is_wanted(data[:size]) for size in range(len(data))} == {FirstBytes.MORE}


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """No bytes are an error, and as many as are looked at are always enough."""
    assert isinstance(what_is_wanted(data), FirstBytes)
    assert what_is_wanted(data.ljust(MAX_PEEK, b"x")) is not FirstBytes.MORE
