"""One client, as it is seen in the rooms that know who is there."""

from __future__ import annotations

import logging

from realtime.access.anonymous import User
from realtime.access.identity import Identity
from realtime.clients.client_counters import counters
from realtime.conf import conf
from realtime.json_values import encode
from realtime.people.persons import new_connection, person_of
from realtime.people.project_functions import project_function
from shardlayer import Attendee, ErrorLog, Node

log_failure = ErrorLog(logging.getLogger(__name__))


class ClientPresence:
    """Tells the node in which rooms a client is, and as whom.

    Who the client is must be known for it, so the session is looked at. A client whose person or
    info can't be found out is in its rooms all the same, unseen or without info: that is logged and
    counted.
    """

    __slots__ = ("_connection", "_identity", "_node", "_rooms")

    def __init__(self, identity: Identity, node: Node) -> None:
        self._identity = identity
        self._node = node
        self._connection = new_connection()
        self._rooms: dict[str, Attendee] = {}

    async def come(self, room: str, *, told: bool, again: bool = False) -> None:
        """Have the client seen in a room that it has joined; `told`: to the room's members, too.

        Who is put out of the room meanwhile has to `go`; `again`: nothing comes of it then.
        """
        try:
            user = await self._identity.user()
            person = person_of(user, self._node.id, self._connection)
            info = await self._info(user, room)
            attendee = Attendee(room, person, self._connection, info, told)
            before = self._rooms.get(room)
            if attendee == before or (again and before is None):
                return
            self._node.presence.come(attendee)
        except Exception as error:
            counters.presence_failed += 1
            message = "The presence of %s lacks a client that is in it."
            log_failure(message, room, exc_info=error)
            return
        self._rooms[room] = attendee
        if before is not None:
            self._node.presence.go(before, at_once=True)

    def go(self, room: str) -> None:
        """Have the client seen in a room no more; nothing if it was not."""
        attendee = self._rooms.pop(room, None)
        if attendee is not None:
            self._node.presence.go(attendee)

    async def sign_in(self) -> None:
        """Have the client seen as who it is now, in all of its rooms."""
        for room, attendee in list(self._rooms.items()):
            if room in self._rooms:
                await self.come(room, told=attendee.told, again=True)

    def end(self) -> None:
        """Have the client seen nowhere any more."""
        for room in list(self._rooms):
            self.go(room)

    async def _info(self, user: User, room: str) -> bytes:
        settings = conf()
        path, most = settings.presence_info, settings.max_presence_info
        if path is None or not most:
            return b""
        try:
            info = await project_function(path)(user, room, self._identity.claims)
            data = b"" if info is None else encode(info)
        except Exception as error:
            counters.presence_infos_failed += 1
            message = "PRESENCE_INFO failed: a client in %s is shown without info."
            log_failure(message, room, exc_info=error)
            return b""
        if len(data) > most:
            counters.presence_infos_failed += 1
            log_failure(
                "The info of a client in %s has %d bytes, more than MAX_PRESENCE_INFO, %d: the "
                "client is shown without info.",
                room,
                len(data),
                most,
            )
            return b""
        return data
