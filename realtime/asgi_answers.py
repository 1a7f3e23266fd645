"""What answers in front of Django have in common: reading an ASGI scope, and sending a response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shardlayer import Worker

Scope = Mapping[str, Any]


def path_read(scope: Scope) -> str | None:
    """Return the path that is asked for, below the root and without slashes at its ends.

    None if it is not asked for by GET or HEAD over HTTP.
    """
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return None
    return path_of(scope)


def path_of(scope: Scope) -> str:
    """Return the path of a request, below the root and without slashes at its ends."""
    root: str = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    return path.removeprefix(root).strip("/")


def worker_of(scope: Scope) -> Worker | None:
    """Return what the server says of itself; None on servers other than our own."""
    worker: Worker | None = scope.get("extensions", {}).get("shardlayer", {}).get("worker")
    return worker


async def send_answer(scope: Scope, send: Any, status: int, content_type: str, body: bytes) -> None:
    """Send a response that nobody keeps; to HEAD without the body."""
    headers = [
        (b"content-type", content_type.encode("latin-1")),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    is_head = scope["method"] == "HEAD"
    await send({"type": "http.response.body", "body": b"" if is_head else body})
