"""The balancer's own health, on a port of its own: a few lines of HTTP."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from shardlayer.balancer.accept_loop import ListenError

logger = logging.getLogger(__name__)

REQUEST_TIMEOUT = 5.0  # seconds for a request to come, and for its answer to be read
STOP_TIMEOUT = 0.5  # seconds
MAX_REQUEST = 8 * 1024  # bytes
MAX_ASKING = 64  # connections at once

_REASONS = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}


class StatusServer:
    """Answers `GET /health/live`, `/health/ready` and its alias `/health`.

    Args:
        details: Returns the body for loopback clients; others get its `status` alone.
    """

    def __init__(self, details: Callable[[], dict[str, Any]]) -> None:
        self._details = details
        self._server: asyncio.Server | None = None
        self._asking = 0

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Start; return the address.

        Raises:
            ListenError: The port is taken, or the host is no address of this machine.
        """
        try:
            self._server = await asyncio.start_server(
                self._serve, host, port, limit=MAX_REQUEST, reuse_address=True
            )
        except OSError as error:
            raise ListenError(f"Can't listen on {host} port {port}: {error.strerror}.") from error
        address = self._server.sockets[0].getsockname()
        return address[0], address[1]

    async def aclose(self) -> None:
        """Stop; a client that is asking has a moment to get the answer."""
        if self._server is not None:
            self._server.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT):
                    await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._asking += 1
        try:
            if self._asking <= MAX_ASKING:
                async with asyncio.timeout(REQUEST_TIMEOUT):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._answer(head, writer.get_extra_info("peername")))
                    await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # TimeoutError is an OSError
        finally:
            self._asking -= 1
            writer.close()

    def _answer(self, head: bytes, peer: Any) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in (b"GET", b"HEAD") or path not in PATHS:
            return _response(404, {"status": "not found"})
        if path == b"/health/live":
            return _response(200, {"status": "live"})
        details = self._details()
        status = 200 if details["status"] == "ready" else 503
        # What a proxy brings may be anybody's, though the proxy itself is here.
        is_ours = _is_loopback(peer) and not _has_come_through_proxy(head)
        body = details if is_ours else {"status": details["status"]}
        return _response(status, body)


PATHS = frozenset({b"/health", b"/health/ready", b"/health/live"})


_has_come_through_proxy = re.compile(
    rb"\r\n(?:forwarded|via|x-forwarded-[a-z]+|x-real-ip)[ \t]*:", re.IGNORECASE
).search


def _is_loopback(peer: Any) -> bool:
    try:
        return ipaddress.ip_address(peer[0].partition("%")[0]).is_loopback
    except (TypeError, ValueError, IndexError):
        return False


def _response(status: int, body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + data
