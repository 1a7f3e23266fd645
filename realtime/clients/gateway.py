"""The way in for WebSockets: by address, and only for pages of this site.

A browser sends cookies with a WebSocket that any page opens; its `Origin` header says whose page
it is, so it has to be looked at. Channels' AllowedHostsOriginValidator around a URLRouter does that
as well, at about a tenth of what a whole connection costs: it parses the same origin anew for each
client, tries patterns where addresses are fixed, and keeps a second scope for each connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlparse

from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings

from realtime.clients.asgi_sink import Send
from realtime.consumers import Application, Receive, Scope

_REMEMBERED = 256  # origins
_LONGEST_REMEMBERED = 300  # bytes of an origin; a host's name has 253 characters at most


class Gateway:
    """An ASGI application for WebSockets that passes each on to the one at its address.

    Refused with 403 are addresses that nothing serves, and origins that AllowedHostsOriginValidator
    would refuse: those not in ALLOWED_HOSTS, and a handshake without an origin.

    Args:
        applications: By address, without the leading slash and root path: `"ws/"`.
    """

    def __init__(self, applications: Mapping[str, Application]) -> None:
        self._applications = dict(applications)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        application = self._applications.get(_address(scope))
        if application is None or not is_allowed(origin_of(scope)):
            await refuse(receive, send)
        else:
            await application(scope, receive, send)


async def refuse(receive: Receive, send: Send) -> None:
    """Answer a WebSocket before it is accepted: the handshake fails with 403."""
    await receive()
    await send({"type": "websocket.close"})


def origin_of(scope: Scope) -> bytes | None:
    """Return the `Origin` header; the last, if there are several."""
    found = None
    for name, value in scope["headers"]:
        if name == b"origin":
            found = value
    return found


def is_allowed(origin: bytes | None) -> bool:
    """Tell whether pages of this origin may connect, by ALLOWED_HOSTS as it is now."""
    judge = _verdict
    if origin is not None and len(origin) > _LONGEST_REMEMBERED:
        judge = _verdict.__wrapped__  # type: ignore[assignment]  # whoever sends it chooses it
    return judge(origin, tuple(settings.ALLOWED_HOSTS), settings.DEBUG)


@lru_cache(_REMEMBERED)
def _verdict(origin: bytes | None, hosts: tuple[str, ...], debug: bool) -> bool:
    """Ask Channels; the verdict depends on the origin and on these two settings, which it reads."""
    validator = AllowedHostsOriginValidator(None)
    try:
        parsed = None if origin is None else urlparse(origin.decode("latin-1"))
        return bool(validator.valid_origin(parsed))
    except ValueError:  # no URL, such as http://[
        return False


def _address(scope: Scope) -> str:
    """Return the path below the root path, as Django's patterns have it; "" is served by nobody."""
    path: str = scope["path"]
    root = scope.get("root_path", "").rstrip("/")
    return path[len(root) + 1 :] if path.startswith(f"{root}/") else ""
