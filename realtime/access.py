"""Who may do what with which room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Literal

from django.utils.module_loading import import_string

from realtime.auth import Identity, User
from realtime.conf import conf
from realtime.rooms import RoomGlobs

Action = Literal["subscribe", "publish"]
Authorize = Callable[[User, Action, str], Awaitable[bool]]


class Access:
    """The rules in force.

    Clients may publish only to the rooms of `CLIENT_PUBLISH`. `AUTHORIZE`, when set, is asked
    about every subscribing and every publishing that is left; without it nobody's identity is
    looked at.
    """

    __slots__ = ("_authorize", "_publishable")

    def __init__(self, client_publish: tuple[str, ...], authorize: Authorize | None) -> None:
        self._publishable = RoomGlobs(client_publish)
        self._authorize = authorize

    async def allows(self, identity: Identity, action: Action, room: str) -> bool:
        """Return whether this connection may do this; raises what `AUTHORIZE` raises."""
        if action == "publish" and room not in self._publishable:
            return False
        if self._authorize is None:
            return True
        return await self._authorize(await identity.user(), action, room)


def access() -> Access:
    """Return the rules that the settings ask for."""
    settings = conf()
    return _access(settings.client_publish, settings.authorize)


@cache
def _access(client_publish: tuple[str, ...], authorize: str | None) -> Access:
    return Access(client_publish, import_string(authorize) if authorize else None)
