"""The way in for WebSockets: whom it lets through, and where to."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlparse

import pytest
from channels.security.websocket import AllowedHostsOriginValidator
from django.test import override_settings

from realtime.clients.gateway import Gateway
from realtime.clients.queued_sink import Send
from realtime.consumers import Application, Receive, Scope

ORIGINS = [
    None,
    b"",
    b"null",
    b"https://example.com",
    b"https://EXAMPLE.com:8443",
    b"http://www.example.com",
    b"https://example.com.evil.org",
    b"https://evil.org",
    b"http://localhost:8000",
    b"http://127.0.0.1",
    b"http://[::1]:8000",
    b"example.com",
    b"\xff\xfe",
]
HOSTS: list[list[str]] = [
    [],
    ["*"],
    ["example.com"],
    [".example.com", "localhost"],
    ["https://example.com:8443"],
    ["[::1]"],
]


def scope(path: str = "/ws/", *, origin: bytes | None = b"http://testserver", **more: Any) -> Scope:
    """Return the scope of a handshake."""
    headers = [(b"host", b"testserver")]
    if origin is not None:
        headers.append((b"origin", origin))
    return {"type": "websocket", "path": path, "headers": headers, **more}


async def served(application: Application, scope: Scope) -> list[str]:
    """Return what is sent in answer to a handshake."""
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event["type"])

    await application(scope, receive, send)
    return sent


async def accept(scope: Scope, receive: Receive, send: Send) -> None:
    """Let everybody in."""
    await receive()
    await send({"type": "websocket.accept"})


ACCEPTED, REFUSED = ["websocket.accept"], ["websocket.close"]
gateway = Gateway({"ws/": accept})


@pytest.mark.parametrize("debug", [True, False], ids=["debug", "live"])
@pytest.mark.parametrize("hosts", HOSTS, ids=lambda hosts: ",".join(hosts) or "none")
async def test_origins_are_those_of_channels(hosts: list[str], debug: bool) -> None:
    """Each origin is let in or refused as AllowedHostsOriginValidator does, asked once or again."""
    with override_settings(ALLOWED_HOSTS=hosts, DEBUG=debug):
        validator = AllowedHostsOriginValidator(accept)
        for origin in [*ORIGINS, *ORIGINS]:
            parsed = None if origin is None else urlparse(origin.decode("latin-1"))
            expected = ACCEPTED if validator.valid_origin(parsed) else REFUSED
            assert await served(gateway, scope(origin=origin)) == expected, origin


async def test_settings_count_at_once() -> None:
    """A verdict is not remembered beyond the settings that it came from."""
    handshake = scope(origin=b"https://example.com")
    with override_settings(ALLOWED_HOSTS=["example.com"]):
        assert await served(gateway, handshake) == ACCEPTED
    with override_settings(ALLOWED_HOSTS=["example.org"]):
        assert await served(gateway, handshake) == REFUSED


@override_settings(ALLOWED_HOSTS=["*"])
async def test_origin_that_is_no_url() -> None:
    """An origin that can't be parsed is refused, and no error."""
    assert await served(gateway, scope(origin=b"http://[")) == REFUSED


@override_settings(ALLOWED_HOSTS=["testserver"])
@pytest.mark.parametrize(
    ("path", "root_path", "answer"),
    [
        ("/ws/", "", ACCEPTED),
        ("/base/ws/", "/base", ACCEPTED),
        ("/base/ws/", "/base/", ACCEPTED),
        ("/ws/", "/", ACCEPTED),
        ("/basews/", "/base", REFUSED),
        ("//ws/", "", REFUSED),
        ("/ws", "", REFUSED),
        ("/ws/x", "", REFUSED),
        ("/", "", REFUSED),
        ("/ws/", "/base", REFUSED),
        ("/base/ws/", "", REFUSED),
    ],
)
async def test_addresses(path: str, root_path: str, answer: list[str]) -> None:
    """Only the whole address below the root path is served."""
    assert await served(gateway, scope(path, root_path=root_path)) == answer
