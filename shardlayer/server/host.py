"""What the parts of the server see of each other, so that none has to import what imports it.

A connection needs the server's limits and tells it when it opens and ends; the server keeps the
connections and applies its limits in time. Each sees the other as one of these Protocols.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from shardlayer.aio.lingering import Lingering
from shardlayer.core.compression import Compression
from shardlayer.server.address_limits import AddressLimits
from shardlayer.server.awaited_requests import AwaitedRequests
from shardlayer.server.connection_limits import ConnectionLimits
from shardlayer.server.handshake import MessageLimits
from shardlayer.server.inbox import Inbox, Message
from shardlayer.server.scope import ScopeOptions


class WebSocket(Protocol):
    """A connection, as its host sees it: `websocket_protocol.WebSocketProtocol`."""

    inbox: Inbox

    async def send(self, message: Message) -> None: ...
    def application_ended(self, task: asyncio.Future[Any]) -> None: ...
    def check_timeouts(self, now: float) -> None: ...
    def go_away(self, seconds: float) -> None: ...
    def abort(self) -> None: ...


class RefusedClient(Protocol):
    """A connection that was refused, and waits for its client to close."""

    def abort(self) -> None: ...


class WebSocketHost(ScopeOptions, Protocol):
    """The server, as a connection sees it: `server.Server`. Times are in seconds, sizes in bytes.

    The attributes are Daphne's and `Server`'s, which says what each means.
    """

    server_name: str
    http_factory: Any
    action_logger: Callable[..., object] | None

    limits: ConnectionLimits
    addresses: AddressLimits
    waiting: AwaitedRequests
    lingering: Lingering[RefusedClient]
    client_buffer_limit: int
    client_frame_rate: int
    client_message_timeout: float
    compression: Compression | None
    is_draining: bool
    ping_interval: float
    ping_timeout: float
    websocket_connect_timeout: float
    websocket_timeout: float

    capacity: int
    reserve: int

    @property
    def busy(self) -> int: ...

    @property
    def has_too_many(self) -> bool: ...

    @property
    def message_limits(self) -> MessageLimits: ...

    def log_action(self, protocol: str, action: str, details: dict[str, Any]) -> None: ...
    def open_websocket(self, websocket: WebSocket, scope: dict[str, Any]) -> None: ...
    def websocket_lost(self, websocket: WebSocket) -> None: ...
    def connection_made(self) -> None: ...
    def connection_lost(self) -> None: ...
    def forget(self, websocket: WebSocket) -> None: ...
