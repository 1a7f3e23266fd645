"""What the server tells operators of connections (see shardlayer/core/events.py)."""

from __future__ import annotations

import time

from websockets.server import ServerProtocol

from shardlayer.core.events import events_are_told, tell_event
from shardlayer.server.transports import Address

_STATUS = slice(9, 12)  # of an HTTP/1.1 response: "HTTP/1.1 403 …"


def refused(status: int, reason: str, client: Address | None, path: str | None = None) -> None:
    """Tell that a connection or request was answered with an error, by the server itself."""
    if events_are_told():
        tell_event("refused", status=status, reason=reason, client=_text(client), path=path)


def refused_with(answer: bytes, client: Address | None) -> None:
    """Tell the same of a whole HTTP response with a plain text."""
    if events_are_told():
        status = answer[_STATUS]
        _, _, text = answer.partition(b"\r\n\r\n")
        refused(int(status) if status.isdigit() else 0, text.decode().strip(), client)


def closed(
    frames: ServerProtocol,
    code: int,
    reason: str,
    *,
    client: Address | None,
    path: str,
    opened_at: float,
) -> None:
    """Tell that a WebSocket is over, and who ended it: the client, the server or the network."""
    if not events_are_told():
        return
    if frames.close_sent is None and frames.close_rcvd is None:
        ended_by = "network"
    else:
        ended_by = "client" if frames.close_rcvd_then_sent else "server"
    tell_event(
        "closed",
        code=code,
        reason=reason,
        by=ended_by,
        client=_text(client),
        path=path,
        seconds=round(time.monotonic() - opened_at, 3),
    )


def _text(client: Address | None) -> str | None:
    return None if client is None else str(client[0])
