"""Heads of requests: the short way through gives what websockets' parser gives."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shardlayer.server.request import BadHead, Head, read_any, read_head, read_ordinary
from tests.server.client import request

CHECKED = ("Connection", "Origin", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol", "Upgrade")

names = st.sampled_from([*CHECKED, "origin", "X-Other", "Cookie", "Content-Length", "a b", "", "é"])
values = st.text(st.characters(max_codepoint=0x100), max_size=20)
targets = st.text(st.characters(max_codepoint=0x80), max_size=20)
bits = st.sampled_from(["\r\n", "\n", "\r", ":", " ", "\t", "", "\x00", "GET ", "x: y\r\n"])


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Heads that are mostly good."""
    lines = [f"{draw(names)}:{draw(values)}" for _ in range(draw(st.integers(0, 6)))]
    target = draw(st.one_of(st.just("/ws/?room=a"), targets))
    head = "\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""])
    at = draw(st.integers(0, len(head)))
    bit = draw(st.one_of(st.just(""), bits))
    return (head[:at] + bit + head[at:]).encode("latin-1", "replace")


def read(data: bytes, how: Callable[[bytes], Head | None]) -> tuple[object, ...] | None:
    """Return what one of the two ways makes of a head; None for one that it doesn't take."""
    try:
        head = how(data)
    except BadHead:
        return None
    if head is None:
        return None
    checked = [head.request().headers.get_all(name) for name in CHECKED]
    request = head.request()
    return request.method, request.protocol, head.target, checked, head.headers, head.values


@given(heads())
@example(request())
@example(request(X="\xff\t "))
def test_both_ways_agree(data: bytes) -> None:
    """What the short way takes, websockets takes, and reads the same."""
    ordinary = read(data, read_ordinary)
    if ordinary is not None:
        assert ordinary == read(data, read_any)


@pytest.mark.parametrize("name", ["Content-Length", "Transfer_Encoding"])
def test_announced_body(name: str) -> None:
    """A head that announces a body is refused."""
    with pytest.raises(BadHead) as refusal:
        read_head(request(**{name: "5"}))
    assert refusal.value.status is HTTPStatus.BAD_REQUEST


def test_what_is_ordinary() -> None:
    """What browsers send goes the short way; what is too large for websockets does not."""
    browser = request("/ws/?room=a", Origin="https://example.com", Cookie="a=b", User_Agent="x (y)")
    assert read(browser, read_ordinary) is not None
    many = {f"X{number}": "" for number in range(124)}
    assert read(request(**many), read_ordinary) is None
    assert read(request(X="a" * 8192), read_ordinary) is None
