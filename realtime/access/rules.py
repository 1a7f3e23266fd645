"""Who may do what with which room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Literal

from django.utils.module_loading import import_string

from realtime.access.identity import Identity, User
from realtime.access.users import is_user_room, user_room
from realtime.conf import conf
from realtime.rooms.room_names import RoomGlobs

Action = Literal["subscribe", "publish"]
Authorize = Callable[[User, Action, str], Awaitable[bool]]


class Access:
    """The rules in force.

    A user's private room is decided first, and asks nobody else: only its user subscribes, and no
    client publishes. Of all others, clients may publish only to those of `CLIENT_PUBLISH`.
    A token may open rooms to its bearer. `AUTHORIZE`, when set, is asked about every subscribing
    and every publishing that is left; without it nobody's identity is looked at.
    """

    __slots__ = ("_authorize", "_publishable")

    def __init__(self, client_publish: tuple[str, ...], authorize: Authorize | None) -> None:
        self._publishable = RoomGlobs(client_publish)
        self._authorize = authorize

    async def allows(self, identity: Identity, action: Action, room: str) -> bool:
        """Return whether this connection may do this; raises what `AUTHORIZE` raises."""
        if is_user_room(room):
            return action == "subscribe" and await _owns(identity, room)
        if action == "publish" and room not in self._publishable:
            return False
        if self._authorize is None:
            return True
        if action == "subscribe" and identity.credential.opens(room):
            return True
        # As Django does before each request: a connection that failed, or that outlived
        # CONN_MAX_AGE, would fail every command until the worker is restarted.
        await identity.old_connections.close()
        return await self._authorize(await identity.user(), action, room)


async def _owns(identity: Identity, room: str) -> bool:
    user = await identity.user()
    return user.is_authenticated and room == user_room(user)


def access() -> Access:
    """Return the rules that the settings ask for."""
    settings = conf()
    return _access(settings.client_publish, settings.authorize)


@cache
def _access(client_publish: tuple[str, ...], authorize: str | None) -> Access:
    return Access(client_publish, import_string(authorize) if authorize else None)
