"""Whom the server believes, and what: the same for HTTP and for WebSockets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shardlayer.server.proxy import root_path_of
from tests.server.client import RawClient, request
from tests.server.process import ServerProcess

EVIL = (
    "//evil.example",
    "/%2Fevil.example",
    "/\\evil.example",
    "evil",
    "/a//b",
    "/a%0d%0ab",
    "/caf\xe9",
)


def by_websocket(server: ServerProcess, *headers: tuple[str, str]) -> tuple[int, dict[str, Any]]:
    """Return the status of a handshake with these headers, and the scope that it made."""
    opening = request("/scope")[:-2] + _lines(headers)
    with RawClient(server.connect(), opening) as client:
        received = client.read() if client.status == 101 else None
        return client.status, json.loads(received.payload) if received else {}


def by_http(server: ServerProcess, *headers: tuple[str, str]) -> tuple[int, dict[str, Any]]:
    """Return the same for an HTTP request."""
    with server.connect() as connection:
        connection.sendall(b"GET /scope HTTP/1.0\r\n" + _lines(headers))
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
        status = int(head.split()[1])
        return status, json.loads(body) if status == 200 else {}


def _lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    return (
        "".join(f"{name}: {value}\r\n" for name, value in (*headers,)).encode("latin-1") + b"\r\n"
    )


either = pytest.mark.parametrize("ask", [by_websocket, by_http])


@either
@pytest.mark.parametrize("value", ["/app", *EVIL])
def test_root_path_of_anybody(server: ServerProcess, ask: Any, value: str) -> None:
    """Without --proxy-headers nobody names a root path, and the header is not passed on."""
    _, scope = ask(server, ("Daphne-Root-Path", value))
    assert scope["root_path"] == ""
    assert not any("daphne" in name for name, _ in scope["headers"])


@either
def test_root_path_of_a_proxy(behind_proxy: ServerProcess, ask: Any) -> None:
    """A proxy that is believed names the root path."""
    _, scope = ask(behind_proxy, ("Daphne-Root-Path", "/a%20b"))
    assert scope["root_path"] == "/a b"


@either
@pytest.mark.parametrize("value", EVIL)
def test_root_path_that_is_none(behind_proxy: ServerProcess, ask: Any, value: str) -> None:
    """What a proxy passes on from a client can't lead a page's links to another site."""
    status, _ = ask(behind_proxy, ("Daphne-Root-Path", value))
    assert status == 400


@pytest.mark.parametrize("value", [b"", b"/", b"/app", b"/app/", b"/caf%C3%A9/b.c"])
def test_root_paths(value: bytes) -> None:
    """These are root paths."""
    assert root_path_of(value).startswith(value.decode()[:4])


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ([("X-Forwarded-For", "192.0.2.1, 10.0.0.9")], ["192.0.2.1", 0]),
        ([("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-For", "192.0.2.2")], ["192.0.2.1", 0]),
        (
            [
                ("X-Forwarded-For", "192.0.2.1"),
                ("X-Forwarded-Port", "1"),
                ("X-Forwarded-Port", "2"),
            ],
            ["192.0.2.1", 1],
        ),
        ([("X_Forwarded_For", "192.0.2.66")], None),
        ([("X-Forwarded-For", "\xff")], None),
        ([("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Port", "\xff")], None),
    ],
    ids=["list", "two-lines", "two-ports", "underscore", "no-text", "port-no-text"],
)
def test_both_name_the_same_client(
    behind_proxy: ServerProcess, headers: list[tuple[str, str]], client: list[Any] | None
) -> None:
    """HTTP and WebSockets believe the same of what a proxy says; the first line counts."""
    clients = []
    for ask in (by_http, by_websocket):
        status, scope = ask(behind_proxy, *headers)
        assert status in (101, 200)
        clients.append(scope["client"] if client else scope["client"][:1])
    assert clients == [client or ["127.0.0.1"]] * 2
