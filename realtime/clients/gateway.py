"""The way in for WebSockets: by address, and only for pages of this site, and of those it trusts.

Channels' AllowedHostsOriginValidator around a URLRouter does the same at about a tenth of what a
whole connection costs: it parses the same origin anew for each client, tries patterns where
addresses are fixed, and keeps a second scope for each connection.
"""

from __future__ import annotations

from collections.abc import Mapping

from realtime.access.origins import is_allowed, origin_of
from realtime.clients.client_counters import counters
from realtime.clients.queued_sink import Send
from realtime.consumers import Application, Receive, Scope


class Gateway:
    """An ASGI application for WebSockets that passes each on to the one at its address.

    Refused with 403 are addresses that nothing serves, and pages of other sites: origins that are
    neither of ALLOWED_HOSTS, as AllowedHostsOriginValidator has it, nor of `REALTIME["ORIGINS"]`; a
    handshake without an origin; and what is no origin at all.

    Args:
        applications: By address, without the leading slash and root path: `"ws/"`.
    """

    def __init__(self, applications: Mapping[str, Application]) -> None:
        self._applications = dict(applications)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        application = self._applications.get(_address(scope))
        if application is None:
            await refuse(receive, send, "nothing is at this address")
        elif not is_allowed(origin_of(scope["headers"])):
            counters.origins_refused += 1
            await refuse(receive, send, "pages of this origin may not connect")
        else:
            await application(scope, receive, send)


async def refuse(receive: Receive, send: Send, reason: str) -> None:
    """Answer a WebSocket before it is accepted: the handshake fails with 403.

    The client is not told the reason; our own server logs it.
    """
    await receive()
    await send({"type": "websocket.close", "reason": reason})


def _address(scope: Scope) -> str:
    """Return the path below the root path, as Django's patterns have it; "" is served by nobody."""
    path: str = scope["path"]
    root = scope.get("root_path", "").rstrip("/")
    return path[len(root) + 1 :] if path.startswith(f"{root}/") else ""
