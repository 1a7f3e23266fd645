"""The WebSocket of an open page: sends the page's parts anew, whenever the page asks.

It is a plain ASGI application, so it works on any server. The browser first sends the page's
ticket, then `next` for each look that it wants. So a browser that does not read gets nothing more.
The session says who the user is. It is read again while the page is open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import orjson
from channels.db import database_sync_to_async
from django.apps import apps
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.admin.sites import all_sites
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import set_script_prefix
from django.utils import translation

from realtime.access.anonymous import User
from realtime.access.identity import session_key
from realtime.access.project_calls import without_stop_iteration
from realtime.access.session_users import SessionUsers
from realtime.admin.admin_page import CLOSING, AdminPage, LiveView, Memory, look_in_time
from realtime.admin.admin_permissions import Permission, allowed, may
from realtime.admin.live_tickets import LiveTicket, read_ticket
from realtime.clients.client_counters import counters
from realtime.clients.queued_sink import Send
from realtime.conf import conf
from realtime.consumers import Receive, Scope

TICKET_TIMEOUT = 10.0  # seconds that a browser has to say which page it is of
RECHECK = 10.0  # seconds after which the session and the permission are looked at again
MAX_TEXT = 16_384  # characters of a message of a browser

CLOSE_REFUSED = 4003  # not signed in as staff, or without the permission, or no such page
CLOSE_BUSY = 1013  # as many pages as may be refresh themselves in this process


class LiveSocket:
    """Serves one connection."""

    open = 0  # in this process

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._user: User | None = None
        self._checked = 0.0
        self._closing: list[Callable[[], object]] = []
        self._memory: Memory = {CLOSING: self._closing}

    async def run(self) -> None:
        """Serve it until it ends."""
        if (await self._receive())["type"] != "websocket.connect":
            return
        await self._send({"type": "websocket.accept"})
        await self._serve()

    async def _serve(self) -> None:
        try:
            async with asyncio.timeout(TICKET_TIMEOUT):
                text = await self._text()
        except TimeoutError:
            await self._close(CLOSE_REFUSED)
            return
        if text is None:
            return
        ticket = read_ticket(text)
        page = None if ticket is None else _page_of(ticket)
        live = None if page is None or ticket is None else page.live_view(ticket.view)
        if live is None or page is None or ticket is None:
            await self._close(CLOSE_REFUSED)
            return
        if not await self._is_allowed(page):
            await self._close(CLOSE_REFUSED)
            return
        # Only now: strangers, who get no further, must not take the places of the staff.
        most = conf().admin_max_live
        if most and LiveSocket.open >= most:
            counters.admin_pages_refused += 1
            await self._close(CLOSE_BUSY)
            return
        LiveSocket.open += 1
        try:
            with translation.override(ticket.language):  # of this connection alone
                await self._show(ticket, page, live)
        finally:
            LiveSocket.open -= 1
            for close in self._closing:
                close()

    async def _show(self, ticket: LiveTicket, page: AdminPage, live: LiveView) -> None:
        prefix = get_script_prefix(self._scope)
        while True:
            if not await self._is_allowed(page):
                await self._close(CLOSE_REFUSED)
                return
            begun = time.monotonic()
            found = await look_in_time(live, ticket.query, self._memory)
            html = await _render(
                page, live, found, user=self._user, prefix=prefix, query=ticket.query
            )
            await self._send({"type": "websocket.send", "text": orjson.dumps(html).decode()})
            if await self._text() is None:
                return
            pause = conf().admin_refresh if live.pause is None else live.pause
            await asyncio.sleep(max(0.0, pause - (time.monotonic() - begun)))

    async def _is_allowed(self, page: AdminPage) -> bool:
        now = time.monotonic()
        if self._user is None or now - self._checked >= RECHECK:
            key = _session_of(self._scope)
            self._user = None if key is None else await SessionUsers.of_running_loop().of(key)
            self._checked = now
            return self._user is not None and await _may_look(page, self._user, self._scope)
        return True

    async def _text(self) -> str | None:
        """Return what the browser says next; None if it is gone, or says what it never would."""
        event = await self._receive()
        if event["type"] != "websocket.receive":
            return None
        text: str | None = event.get("text")
        if text is None or len(text) > MAX_TEXT:
            await self._close(CLOSE_REFUSED)
            return None
        return text

    async def _close(self, code: int) -> None:
        await self._send({"type": "websocket.close", "code": code})


async def live_application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the WebSocket of an open page of the admin."""
    await LiveSocket(scope, receive, send).run()


def _page_of(ticket: LiveTicket) -> AdminPage | None:
    site = next((site for site in all_sites if site.name == ticket.site), None)
    if site is None:
        return None
    try:
        page = site.get_model_admin(apps.get_model("realtime", ticket.model))
    except (LookupError, NotRegistered):
        return None
    return page if isinstance(page, AdminPage) else None


def _session_of(scope: Scope) -> str | None:
    if "session" in scope:  # of Channels' SessionMiddleware
        key: str | None = scope["session"].session_key
        return key
    return session_key(scope["headers"])


@database_sync_to_async  # type: ignore[untyped-decorator]
@without_stop_iteration
def _may_look(page: AdminPage, user: Any, scope: Scope) -> bool:
    """Ask the page's admin site, which may be a project's own, and the user's permissions."""
    request = ASGIRequest({**scope, "type": "http", "method": "GET"}, BytesIO())
    request.user = user
    if "session" in scope:
        request.session = scope["session"]
    return page.admin_site.has_permission(request) and may(user, Permission.VIEW)


@database_sync_to_async  # type: ignore[untyped-decorator]
@without_stop_iteration
def _render(
    page: AdminPage,
    live: LiveView,
    found: Mapping[str, Any],
    *,
    user: Any,
    prefix: str,
    query: Mapping[str, str],
) -> dict[str, str]:
    set_script_prefix(prefix)
    request = HttpRequest()
    request.user = user
    request.current_app = page.admin_site.name
    context = {"opts": page.opts, "allowed": allowed(user), "query": query, "live": True}
    context |= found
    return {
        name: render_to_string(template, context, request=request)
        for name, template in live.parts.items()
    }
