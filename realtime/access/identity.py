"""Who is on a connection.

Channels' AuthMiddleware loads the session and the user of every connection, in a thread and
from the database, before the first byte is answered. Here it happens when somebody asks, once; of
a client without a session cookie it is known without looking.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from channels.auth import get_user
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http.cookie import parse_cookie

from shardlayer.consumers import OldConnections

User = AbstractBaseUser | AnonymousUser


class Identity:
    """The user of one connection.

    A `user` that a middleware put into the scope counts; otherwise the session cookie does.

    Attributes:
        old_connections: Closed before the database is asked about this user.
    """

    __slots__ = ("_session_key", "_user", "old_connections")

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self.old_connections = OldConnections()
        self._user: User | None = scope.get("user")
        self._session_key = None if self._user else session_key(scope["headers"])

    async def user(self) -> User:
        """Return the user; the first call may read the session and the user."""
        if self._user is None:
            if self._session_key is None:
                self._user = AnonymousUser()
            else:
                engine = import_module(settings.SESSION_ENGINE)
                session = engine.SessionStore(self._session_key)
                self._user = await get_user({"session": session})
        return self._user

    def sign_in(self, user: AbstractBaseUser) -> None:
        """Make `user` the connection's from here on."""
        self._user = user


def name_of(user: User) -> str | None:
    """Return a user's name as text, empty if they have none; None of an anonymous user.

    A project's own user model may name its users by whatever a field can hold.
    """
    if not user.is_authenticated:
        return None
    name: object = user.get_username()
    return "" if name is None else str(name)


def session_key(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Return the key of the session that the request's cookies name, if any."""
    for name, value in headers:
        if name == b"cookie":
            key = parse_cookie(value.decode("latin-1")).get(settings.SESSION_COOKIE_NAME)
            if key:
                return key
    return None
