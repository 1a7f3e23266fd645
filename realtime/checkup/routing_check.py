"""Whether the ASGI application leads to our consumer, and what else of ours it serves.

It is called as a server calls it: with a handshake and with requests, in this process. No client is
behind the handshake: its scope says that it only asks which consumer would take it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import orjson
from django.conf import settings
from django.utils.module_loading import import_string

from realtime.access.origins import is_allowed
from realtime.checkup.djangos_runserver import is_runserver_djangos
from realtime.checkup.finding import CheckRequest, Finding, fault, ok, warning
from realtime.checkup.unlogged_requests import unlogged_requests
from realtime.consumers import PROBE
from realtime.routing import WEBSOCKET_PATH

_ROUTES = (
    'In asgi.py, give Channels\' ProtocolTypeRouter the entry "websocket": '
    "websocket_application, from realtime.routing; see docs/integrate.md."
)
_PLACE = ("127.0.0.1", 80)


def check_routing(asked: CheckRequest) -> Iterator[Finding]:
    """Yield whether a browser's WebSocket would reach the rooms."""
    yield from _of_application()
    if settings.DEBUG and is_runserver_djangos():
        yield ok(
            "manage.py runserver serves no WebSocket: it is Django's own, which does not use "
            "ASGI_APPLICATION. With 'daphne' at the beginning of INSTALLED_APPS it does."
        )


def _of_application() -> Iterator[Finding]:
    path = getattr(settings, "ASGI_APPLICATION", None) or _usual_path()
    try:
        application = import_string(path)
    except Exception as error:  # its module is the project's, and may raise anything
        named = (
            "" if getattr(settings, "ASGI_APPLICATION", None) else " ASGI_APPLICATION is not set."
        )
        yield fault(
            f"The ASGI application {path} can't be imported: {error}.{named}",
            "Set ASGI_APPLICATION to its dotted path, and fix what its module raises.",
        )
        return
    with unlogged_requests():
        yield from asyncio.run(_look(application, path))


def _usual_path() -> str:
    """Return where `startproject` puts the application."""
    package = str(getattr(settings, "SETTINGS_MODULE", "") or "").partition(".")[0]
    return f"{package}.asgi.application"


async def _look(application: Any, path: str) -> list[Finding]:
    found: list[Finding] = []
    try:
        consumer = await _consumer_at(application, f"/{WEBSOCKET_PATH}")
    except Exception as error:  # of the project's middleware, too
        return [
            fault(
                f"{path} fails at a WebSocket for /{WEBSOCKET_PATH}: "
                f"{type(error).__name__}: {error}",
                _ROUTES,
            )
        ]
    if consumer is None and not is_allowed(_own_origin()):
        found.append(
            fault(
                f"It is not known whether {path} leads a WebSocket for /{WEBSOCKET_PATH} to the "
                "rooms: pages of this site may not connect.",
                "Fix what the check 'origin' reports first.",
            )
        )
    elif consumer is None:
        found.append(
            fault(f"{path} does not lead a WebSocket for /{WEBSOCKET_PATH} to the rooms.", _ROUTES)
        )
    serves = [f"/{WEBSOCKET_PATH} ({consumer.__name__})"] if consumer else []
    routes = getattr(application, "application_mapping", None)
    if isinstance(routes, Mapping) and "lifespan" not in routes:
        found.append(
            warning(
                f"{path} does not handle lifespan: workers do not report, and the first client "
                "of each worker waits for Redis.",
                'Give the ProtocolTypeRouter the entry "lifespan": lifespan, from '
                "realtime.lifespan.",
            )
        )
    serves += await _served_over_http(application)
    if consumer is not None:
        found.append(ok(f"{path} serves {', '.join(serves)}."))
    return found


async def _served_over_http(application: Any) -> list[str]:
    """Return which of our addresses over HTTP are served, for people."""
    serves = []
    status, head, body = await _request(application, "GET", "/health/live")
    if status == 200 and _is_live(body):
        serves.append("/health/")
    status, head, _ = await _request(application, "HEAD", "/sse/")
    if head.get(b"content-type", b"").startswith(b"text/event-stream"):
        serves.append("/sse/")
    status, head, _ = await _request(application, "HEAD", "/metrics")
    if status in (200, 403):
        serves.append("/metrics")
    return serves


def _is_live(body: bytes) -> bool:
    try:
        return bool(orjson.loads(body)["status"] == "live")
    except (ValueError, TypeError, KeyError):
        return False


async def _consumer_at(application: Any, path: str) -> type | None:
    """Return the class of our consumer that a WebSocket for this address would come to."""
    found: list[type] = []
    scope = _scope("websocket", path) | {
        "scheme": "ws",
        "subprotocols": [],
        "extensions": {PROBE: found.append},
    }
    await _call(
        application,
        scope,
        [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}],
    )
    return found[0] if found else None


async def _request(
    application: Any, method: str, path: str
) -> tuple[int, dict[bytes, bytes], bytes]:
    scope = _scope("http", path) | {"method": method, "scheme": "http", "http_version": "1.1"}
    try:
        sent = await _call(application, scope, [{"type": "http.request", "body": b""}])
    except Exception:  # the project's view or middleware, which is not what is asked about
        return 0, {}, b""
    head = next((each for each in sent if each["type"] == "http.response.start"), None)
    if head is None:
        return 0, {}, b""
    body = b"".join(each.get("body", b"") for each in sent if each["type"] == "http.response.body")
    headers = {bytes(name).lower(): bytes(value) for name, value in head.get("headers", ())}
    return head["status"], headers, body


def _scope(kind: str, path: str) -> dict[str, Any]:
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", _own_host().encode()),
            (b"origin", _own_origin()),
            (b"x-forwarded-for", b"192.0.2.1"),  # a stranger, who is told little
        ],
        "client": _PLACE,
        "server": _PLACE,
        "state": {},
    }


def _own_host() -> str:
    """Return a name of this site, by ALLOWED_HOSTS."""
    for host in settings.ALLOWED_HOSTS:
        if host != "*":
            return f"www{host}" if host.startswith(".") else str(host)
    return "localhost"


def _own_origin() -> bytes:
    return f"http://{_own_host()}".encode()


async def _call(
    application: Any, scope: Mapping[str, Any], events: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return what an application sends when it is given some events, and then nothing more."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if events:
            return events.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "websocket.accept":  # somebody else's consumer
            raise _Enough

    with suppress(_Enough):
        await application(scope, receive, send)
    return sent


class _Enough(Exception):
    """What there is to know is known."""
