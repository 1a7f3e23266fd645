"""The demo's WebSocket: rooms, and two commands of the demo's own."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from urllib.parse import unquote

from django.conf import settings

from realtime import ClientRefused
from realtime.access.anonymous import User
from realtime.access.cookies import cookie_of
from realtime.consumers import RoomConsumer

NAME_COOKIE = "shardlayer_name"  # what a visitor's browser says with the handshake
NAME_LENGTH = 40  # characters

visitor_name: ContextVar[str] = ContextVar("visitor_name", default="")
"""What the visitor of this connection is called. Each connection has a context of its own."""


class VisitorConsumer(RoomConsumer):
    """Serves a visitor of the demo, who may have a name without signing in.

    A page works without both commands: on another server, or over an event stream, it has no names
    of people and none of the worker.
    """

    __slots__ = ()

    async def run(self) -> None:
        """Serve the connection until it ends."""
        visitor_name.set(name_of_cookies(self.scope["headers"]))
        await super().run()

    async def command_worker(self, value: object) -> str:
        """Return the name of the worker that has this connection."""
        return str(settings.DEMO["WORKER"])

    async def command_call_me(self, name: object) -> str:
        """Take another name for the visitor; the rooms that are joined from now on tell it."""
        if not isinstance(name, str):
            raise ClientRefused("A name is a text.")
        visitor_name.set(clean_name(name))
        return visitor_name.get()


async def presence_info(user: User, room: str, claims: object) -> dict[str, str] | None:
    """Return what others see of a visitor: PRESENCE_INFO, in the connection's own context."""
    name = visitor_name.get()
    return {"name": name} if name else None


def name_of_cookies(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the name that a request's cookies hold; empty if there is none that can be read."""
    try:
        return clean_name(unquote(cookie_of(headers, NAME_COOKIE) or "", errors="strict"))
    except UnicodeDecodeError:
        return ""


def clean_name(text: str) -> str:
    """Return a name as it is shown: one line, without what can't be printed, and not too long."""
    words = " ".join(text.split())
    return "".join(each for each in words if each.isprintable())[:NAME_LENGTH].strip()
