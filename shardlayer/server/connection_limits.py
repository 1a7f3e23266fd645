"""The limits on connections, before there is an application for them to reach."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What clients may do to connect; of each, 0 is no limit. The command line has them all.

    Attributes:
        address_connections: Connections of one address, past which one more gets 429.
        address_handshake_rate: WebSockets that one address asks for in a second, on average over
            10 s, past which one more gets 429.
        http_head_size: Bytes of a request's head, past which it gets 431.
        http_head_timeout: Seconds that a head may take to arrive, else 408.
        http_idle_timeout: Seconds that a connection may wait for its next request.
        http_idle_connections: Connections that may wait for a request, the first included; with
            one more, the one goes that has waited longest.
    """

    address_connections: int = 1000
    address_handshake_rate: int = 100
    http_head_size: int = 16 * 1024
    http_head_timeout: int = 20
    http_idle_timeout: int = 60
    http_idle_connections: int = 1000
