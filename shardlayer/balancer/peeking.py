"""What a client wants, told from its first bytes. Pure; nothing is taken from the connection."""

from __future__ import annotations

import re
from enum import Enum, auto

MAX_PEEK = 16 * 1024  # bytes; as much as a request's head may have

_PROXY_V1 = b"PROXY "
_MAX_PROXY_V1 = 107  # bytes, with the line's end (haproxy's proxy-protocol.txt, 2.1)
_PROXY_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_PROXY_V2_HEAD = 16  # bytes; the last two are the length of what follows
_TLS_HANDSHAKE = 0x16  # RFC 8446, 5.1
_END_OF_HEAD = b"\r\n\r\n"
_is_request = re.compile(rb"[A-Z]{1,20} [^ \r\n]+ HTTP/[12]\.[01]\r\n").match
_asks_for_websocket = re.compile(rb"\r\nupgrade:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE).search


class FirstBytes(Enum):
    """What a connection's first bytes say."""

    MORE = auto()  # too little to tell
    PAGE = auto()  # an HTTP request that is no WebSocket
    WEBSOCKET = auto()
    TLS = auto()  # only a worker can tell what is inside
    OTHER = auto()  # nothing that anybody here serves


def what_is_wanted(data: bytes) -> FirstBytes:
    """Return what a client wants, whose first bytes these are.

    A line or header of the PROXY protocol in front is passed over. Never MORE for `MAX_PEEK` bytes.
    """
    start = _after_proxy(data)
    if start is None or start > len(data):
        return _unless_long(data)
    if start == len(data):
        return FirstBytes.MORE
    if data[start] == _TLS_HANDSHAKE:
        return FirstBytes.TLS
    end = data.find(_END_OF_HEAD, start)
    if end < 0:
        return _unless_long(data)
    if not _is_request(data, start):
        return FirstBytes.OTHER
    found = _asks_for_websocket(data, start, end + len(_END_OF_HEAD))
    return FirstBytes.WEBSOCKET if found else FirstBytes.PAGE


def _unless_long(data: bytes) -> FirstBytes:
    return FirstBytes.MORE if len(data) < MAX_PEEK else FirstBytes.OTHER


def _after_proxy(data: bytes) -> int | None:
    """Return where the client's own bytes begin, None if that can't be told yet."""
    if data.startswith(_PROXY_V1):
        end = data.find(b"\r\n", 0, _MAX_PROXY_V1)
        if end < 0:
            return None if len(data) < _MAX_PROXY_V1 else 0
        return end + 2
    if data.startswith(_PROXY_V2):
        if len(data) < _PROXY_V2_HEAD:
            return None
        return _PROXY_V2_HEAD + int.from_bytes(data[14:16])
    if data and (_PROXY_V1.startswith(data) or _PROXY_V2.startswith(data)):
        return None
    return 0
