"""`/sse/?room=…` in front of Django: a stream of events that lasts, and costs no thread."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qs

from realtime.access.origins import is_allowed, origin_of
from realtime.asgi_answers import Scope, path_of, send_answer, worker_of
from realtime.clients.client_counters import counters
from realtime.clients.protocol.parsing import room_of_parameter
from realtime.clients.queued_sink import Send
from realtime.clients.session import ClientSession
from realtime.clients.user_limits import publisher_of, user_limits
from realtime.conf import conf
from realtime.consumers import rooms_of_url
from realtime.event_streams.event_stream_sink import (
    RETRY,
    RETRY_LATER,
    EventStreamSink,
    between,
)
from realtime.event_streams.event_text import close_event, parse_positions
from realtime.event_streams.open_streams import CLOSE_RESTART, OpenStreams, streams_of
from realtime.event_streams.server_stop import when_server_stops
from realtime.health.health_gate import HttpApplication
from realtime.sharded_layer import sharded_layer
from shardlayer import Position

EVENT_STREAM_PATH: Final = "sse"
CLOSE_LATER: Final = 1013  # RFC 6455 7.4.1, by IANA's registry: try again later

_METHODS = ("GET", "HEAD", "OPTIONS")
_BEARER = b"bearer "
_LAST_EVENT_ID = b"last-event-id"


class EventStreamGate:
    """An ASGI application for HTTP that serves `/sse/`, and passes on everything else.

    The same rules, limits and ways to sign in hold as for a WebSocket; only that its pages need not
    say their origin where a browser does not: it is the site's own then, or no page at all.

    Args:
        application: Django's, as a rule.
    """

    def __init__(self, application: HttpApplication) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or path_of(scope) != EVENT_STREAM_PATH:
            await self._application(scope, receive, send)
        elif scope["method"] not in _METHODS:
            await send_answer(scope, send, 405, "text/plain", b"A stream is asked for by GET.\n")
        elif not is_own_page(scope):
            counters.origins_refused += 1
            await send_answer(scope, send, 403, "text/plain", b"The page is on another site.\n")
        elif scope["method"] == "GET":
            await _serve(scope, receive, send)
        else:
            await _begin(scope, send)
            await send({"type": "http.response.body", "body": b""})


def is_own_page(scope: Scope) -> bool:
    """Tell whether a page that may connect asks, or no page at all.

    A browser names the origin of a page of another site that wants to read the answer (CORS). It
    names none for a page of the site itself, whose name is then in `Host`, and none for what nobody
    reads, such as the address of an image; of that it says so in `Sec-Fetch-Site`.
    """
    headers = scope["headers"]
    origin = origin_of(headers)
    if origin is not None:
        return is_allowed(origin)
    found = dict(headers)
    if found.get(b"sec-fetch-site", b"none") not in (b"same-origin", b"none"):
        return False
    return is_allowed(b"%b://%b" % (scope.get("scheme", "http").encode(), found.get(b"host", b"")))


async def _begin(scope: Scope, send: Any) -> None:
    is_asked = scope["method"] == "OPTIONS"
    headers = [
        (b"cache-control", b"no-store, no-transform"),
        (b"x-accel-buffering", b"no"),  # nginx's: pass each event on at once
        (b"vary", b"Origin"),
    ]
    if not is_asked:
        headers.append((b"content-type", b"text/event-stream"))
    origin = origin_of(scope["headers"])
    if origin is not None:
        headers += [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
        ]
        if is_asked:
            headers.append((b"access-control-allow-headers", b"Authorization, Last-Event-ID"))
    status = 204 if is_asked else 200
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _serve(scope: Scope, receive: Any, send: Any) -> None:
    settings, worker = conf(), worker_of(scope)
    await _begin(scope, send)
    node = await sharded_layer().node()
    streams = streams_of(node)
    if streams.is_ending or (worker is not None and worker.is_draining):
        await _refuse(send, CLOSE_RESTART, "the server stops", RETRY)
        return
    is_full = 0 < settings.max_event_streams <= counters.streams_open
    if is_full or (worker is not None and worker.is_full):
        counters.streams_full += 1
        await _refuse(send, CLOSE_LATER, "the server is full", RETRY_LATER)
        return
    places, address = user_limits(settings).streams, publisher_of(None, scope.get("client"))
    if address is not None and not places.enter(address):
        counters.streams_full += 1
        await _refuse(send, CLOSE_LATER, "too many streams of this address", RETRY_LATER)
        return
    counters.streams_open += 1
    try:
        counters.streams += 1
        when_server_stops(streams, worker)
        await _stream(scope, receive, send, streams)
    finally:
        counters.streams_open -= 1
        if address is not None:
            places.leave(address)


async def _stream(scope: Scope, receive: Any, send: Any, streams: OpenStreams) -> None:
    rooms = rooms_of_url(scope)
    pace = scope.get("extensions", {}).get("shardlayer", {}).get("pace")
    names = list(dict.fromkeys(map(room_of_parameter, rooms)))
    sink = EventStreamSink(_paced(pace, send), names, limit=conf().max_client_buffer)
    gone = asyncio.create_task(_gone(receive), name="realtime: the client of a stream goes")
    try:
        await _serve_client(scope, sink, gone, streams, rooms)
        if pace is None and not sink.is_complete:
            await _outlast(sink, gone)
    finally:
        gone.cancel()
        if pace is not None and not sink.is_complete:
            pace.abort()  # a client that reads nothing would keep its connection


async def _serve_client(
    scope: Scope,
    sink: EventStreamSink,
    gone: asyncio.Task[None],
    streams: OpenStreams,
    rooms: Sequence[str],
) -> None:
    """Send what comes until the stream is closed, or the client gone or given up."""
    streams.add(sink, conf().event_stream_comment)
    session = None
    try:
        sink.say_retry()
        session = await ClientSession.begin(scope, sink)
        token = _bearer(scope)
        if token is not None and not await session.sign_in_first(token):
            return
        since = _since(scope, sink.room_count)
        sink.begin_at(since)
        counters.streams_resumed += any(since)
        if not await session.enter(rooms, since if len(rooms) == sink.room_count else ()):
            return
        if sink.lacks_rooms:
            sink.close(CLOSE_LATER, "a room is not available")
        await asyncio.wait((gone, sink.sending), return_when=asyncio.FIRST_COMPLETED)
    finally:
        try:
            if session is not None:
                await session.end()
            await sink.finish()
        finally:
            streams.remove(sink)


async def _outlast(sink: EventStreamSink, gone: asyncio.Task[None]) -> None:
    """Return when a client that was given up is gone, or reads again and is told.

    Other servers than ours keep its connection, and what waits for it, until then. So the stream
    keeps its place.
    """
    if gone.done():
        return
    told = asyncio.create_task(sink.send_last(), name="realtime: end a stream that is not read")
    try:
        await asyncio.wait((gone, told), return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()


def _paced(pace: Any, send: Send) -> Send:
    """Return a `send` that waits for the client to read: our own server's does not by itself."""
    if pace is None:
        return send

    async def send_paced(event: dict[str, Any]) -> None:
        await send(event)
        await pace.wait_drained()

    return send_paced


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(send: Any, code: int, reason: str, retry: tuple[int, int]) -> None:
    """End a stream that has just begun: an EventSource takes any status but 200 as final."""
    with suppress(OSError):  # the client is gone
        last = close_event(code, reason, between(retry))
        await send({"type": "http.response.body", "body": last})


def _bearer(scope: Scope) -> str | None:
    """Return the token of the `Authorization` header, if there is one."""
    value: bytes = dict(scope["headers"]).get(b"authorization", b"")
    if value[: len(_BEARER)].lower() != _BEARER:
        return None
    return value[len(_BEARER) :].decode("latin-1").strip()


def _since(scope: Scope, rooms: int) -> Sequence[Position | None]:
    """Return where the client is in its rooms: what it saw last, else what its page says."""
    seen = dict(scope["headers"]).get(_LAST_EVENT_ID)
    if seen is None:
        query = parse_qs(scope["query_string"].decode("ascii", "replace"))
        return parse_positions(query.get("since", [""])[0], rooms)
    return parse_positions(seen.decode("latin-1"), rooms)
