"""Whether a request's head is a good opening handshake (RFC 6455, 4.2.1).

websockets' Sans-I/O protocol decides that, and says what is wrong with a bad one. It parses each
header by the grammar of RFC 9110, so heads as browsers send them are recognised here; both ways
give the same.
"""

from __future__ import annotations

import re

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.server import ServerProtocol
from websockets.utils import accept_key

from shardlayer.server.request import Head

_SUBPROTOCOL = "Sec-WebSocket-Protocol"

# Chromium and Safari; Firefox. Any other list of tokens is for websockets to parse.
_ASKS_TO_UPGRADE = frozenset({b"upgrade", b"keep-alive, upgrade"})
_is_key = re.compile(rb"[+/0-9A-Za-z]{22}==").fullmatch  # 16 bytes in Base64


def check_opening(head: Head, frames: ServerProtocol) -> tuple[str, list[str]]:
    """Return what the answer's `Sec-WebSocket-Accept` says, and the subprotocols that are offered.

    Raises:
        InvalidHandshake: If it is no valid opening handshake.
    """
    key = ordinary_accept_key(head)
    if key is not None:
        return key, []
    return _examine(head, frames)


def ordinary_accept_key(head: Head) -> str | None:
    """Return `Sec-WebSocket-Accept` for a good handshake of the ordinary form, which names each
    header once and offers no subprotocol; None says nothing against another one.
    """
    values = head.values
    if (
        head.parsed is not None  # it was none of the ordinary form, and may be no HTTP/1.1
        or len(values) != len(head.headers)  # some header comes twice
        or b"sec-websocket-protocol" in values
        or b"host" not in values
        or values.get(b"connection", b"").lower() not in _ASKS_TO_UPGRADE
        or values.get(b"upgrade", b"").lower() != b"websocket"
        or values.get(b"sec-websocket-version") != b"13"
    ):
        return None
    key = values.get(b"sec-websocket-key", b"")
    # Extensions are looked at elsewhere; whose pages may connect is for the application to say.
    return accept_key(key.decode("ascii")) if _is_key(key) else None


def _examine(head: Head, frames: ServerProtocol) -> tuple[str, list[str]]:
    """Do the same for any handshake, by websockets."""
    request = head.request()
    offered = []
    if _SUBPROTOCOL in request.headers:
        offered = offered_subprotocols(request.headers)
        if not offered:
            # React Native sends an empty one when it offers none. websockets refuses that.
            del request.headers[_SUBPROTOCOL]
    if [name for name, _ in head.headers].count(b"host") != 1:
        raise InvalidHeader("Host")  # RFC 9112, 3.2; not websockets' to look at
    # Not `accept`, which builds a response as well, with a date that a 101 needs not have.
    key, _, _ = frames.process_request(request)
    return key, offered


def offered_subprotocols(headers: Headers) -> list[str]:
    """Return the subprotocols that the client offers, in its order of preference."""
    return [
        name.strip()
        for value in headers.get_all(_SUBPROTOCOL)
        for name in value.split(",")
        if name.strip()
    ]
