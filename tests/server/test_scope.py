"""The parts of the scope that need no server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from shardlayer.server.opening_check import offered_subprotocols
from shardlayer.server.request import read_head
from shardlayer.server.scope import target_parts, websocket_scope
from tests.server.client import request


@dataclass
class Options:
    """A server's options, all proxy headers believed."""

    root_path: str = ""
    proxy_forwarded_address_header: str | None = "X-Forwarded-For"
    proxy_forwarded_port_header: str | None = "X-Forwarded-Port"
    proxy_forwarded_proto_header: str | None = "X-Forwarded-Proto"


def scope_of(opening: bytes) -> dict[str, Any]:
    """Return the scope of a handshake that comes from 10.0.0.1."""
    head = read_head(opening)
    return websocket_scope(
        head,
        Options(),
        offered=offered_subprotocols(head.request().headers),
        client=["10.0.0.1", 1],
        server=["10.0.0.2", 80],
        secure=False,
        extensions={},
    )


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("/", ("/", "")),
        ("/ws/?a=1&b=?", ("/ws/", "a=1&b=?")),
        ("/a%20b?", ("/a%20b", "")),
        ("http://host:80/ws/?a", ("/ws/", "a")),
        ("http://host", ("/", "")),
    ],
)
def test_target(target: str, parts: tuple[str, str]) -> None:
    """A request target has a path and a query, in the absolute form too."""
    assert target_parts(target) == parts


def test_path_is_unquoted() -> None:
    """The path is decoded, its raw form is kept."""
    scope = scope_of(request("/caf%C3%A9?q=%C3%A9"))
    assert scope["path"] == "/café"
    assert scope["raw_path"] == b"/caf%C3%A9"
    assert scope["query_string"] == b"q=%C3%A9"


def test_forwarded() -> None:
    """The first address of the proxies' list is the client's."""
    scope = scope_of(request(X_Forwarded_For="192.0.2.1, 10.0.0.9", X_Forwarded_Proto="HTTPS"))
    assert scope["client"] == ["192.0.2.1", 0]
    assert scope["scheme"] == "wss"


def test_forwarded_is_no_text() -> None:
    """A forwarded address that isn't text is not believed."""
    scope = scope_of(request(X_Forwarded_For="\xff", X_Forwarded_Proto="https"))
    assert scope["client"] == ["10.0.0.1", 1]
    assert scope["scheme"] == "ws"


def test_subprotocols_of_several_headers() -> None:
    """Subprotocols in several headers are one list; each is unquoted, as Daphne does."""
    opening = request(Sec_WebSocket_Protocol="a, b%20c", SEC_WEBSOCKET_PROTOCOL="d")
    assert scope_of(opening)["subprotocols"] == ["a", "b c", "d"]
