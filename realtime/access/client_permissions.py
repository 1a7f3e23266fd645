"""What one connection may do with which room."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from typing import Final, Literal

import orjson

from realtime.access.answers import Answers
from realtime.access.credential import Credential
from realtime.access.identity import Identity
from realtime.access.opened_rooms import OpenedRooms
from realtime.access.permission_rules import AccessRule
from realtime.access.revocations import RemovalsForgotten, RemovalsUnknown
from realtime.access.rules_by_room import RoomRulesTable, room_rules
from realtime.access.users import is_user_room, user_room
from realtime.clients.client_counters import counters
from realtime.conf import conf
from realtime.json_values import encode
from realtime.room_tokens import BadRoomToken, read_room_token
from realtime.rooms.room_names import OWN_ROOMS
from realtime.rooms.room_settings import Action

MAX_OPENED: Final = 400  # rooms beside its own that tokens have opened to one connection
MAX_NOTED: Final = 4_000  # rooms of a note, and more than it has place for
ASKINGS: Final = 3  # of one rule, if the client is put out of rooms while it is asked
PresenceMode = Literal["off", "kept", "told"]


class Permissions:
    """Decides for one connection, by `REALTIME["ROOMS"]`.

    A user's own room is decided first, and no rule is asked: only its user subscribes and sees
    which devices are there, and no client publishes. A token may open rooms to its bearer. What a
    project's function or Django's permissions answered counts for RULE_MAX_AGE.

    Attributes:
        closings: How often the client was put out of a room.
        members: The rooms that the client is in, as they are at any time; set by whoever knows.
    """

    __slots__ = (
        "_answers", "_identity", "_max_age", "_noted", "_opened", "_table", "closings", "members",
    )  # fmt: skip

    def __init__(self, identity: Identity, table: RoomRulesTable | None = None) -> None:
        settings = conf()
        self._identity = identity
        self._table = table or room_rules()
        self._max_age = settings.rule_max_age
        self._answers = Answers(settings.max_client_rules)
        self._opened: OpenedRooms | None = None  # once a token has opened one
        self._noted: OpenedRooms | None = None  # once a note has opened one
        self.closings = 0
        self.members: Collection[str] = ()

    async def allows(
        self, action: Action, room: str, token: str | None = None, *, is_member: bool = False
    ) -> bool:
        """Return whether this connection may do this.

        A token opens a room for subscribing, and until it ends this connection need not show it
        again; nor after that, as long as it is in the room. If a token opens nothing, the rule
        decides as it does without.

        Args:
            is_member: Whether the connection is in the room.

        Raises:
            BadRoomToken: The token does not open the room, and nothing else does.
            RemovalsUnknown: It is not known yet whether it does, or the token that the client
                signed in with, and nothing else does.
            Exception: What a rule raises.
        """
        if action != "subscribe":
            return await self._decide(action, room)
        if token is None:
            return self._stays(room, is_member) or await self._decide(action, room)
        try:
            await self._open(room, token)
        except (BadRoomToken, RemovalsUnknown):
            # Only now: the client may have been put out while its token was looked at.
            if self._stays(room, is_member) or await self._decide(action, room):
                return True
            raise
        return True

    def _stays(self, room: str, is_member: bool) -> bool:
        """Return whether a token let the client in, and it has been in the room since."""
        return is_member and self.was_opened(room)

    async def _decide(self, action: Action, room: str) -> bool:
        if is_user_room(room):
            return action != "publish" and await self._owns(room)
        if room in OWN_ROOMS:
            return False
        rule = self._table.of(room).rule(action)
        if rule.everybody:
            return True
        if action == "subscribe":
            try:
                if self._is_open(room) or await self._identity.opens(room):
                    return True
            except RemovalsUnknown:
                if await self._says_yes(rule, room):
                    return True
                raise
        return await self._says_yes(rule, room)

    async def _says_yes(self, rule: AccessRule, room: str) -> bool:
        """Return what a rule says of a room, by what was answered before or by asking it."""
        if rule.everybody is not None:
            return rule.everybody
        identity = self._identity
        if rule.of_user is not None:
            user = await (identity.loaded_user() if rule.needs_fields else identity.user())
            return rule.of_user(user)
        assert rule.ask is not None
        question = rule.text, room
        answer = self._answers.recall(question) if rule.is_remembered else None
        if answer is None:
            # As Django does before each request: a connection that failed, or that outlived
            # CONN_MAX_AGE, would fail every command until the worker is restarted.
            await identity.old_connections.close()
            for _ in range(ASKINGS):
                closings = self.closings
                counters.rules_asked += 1
                user = await (identity.loaded_user() if rule.needs_fields else identity.user())
                answer = await rule.ask(user, room, identity.claims)
                if self.closings == closings:
                    break
            else:
                return False  # each answer may be of before the client was put out
            if rule.is_remembered:
                self._answers.keep(question, answer, self._max_age)
        else:
            counters.rules_recalled += 1
        return answer

    async def revised(self, room: str, data: bytes) -> bytes:
        """Return what is published of what the client sent: as the project's function has it.

        Raises:
            ClientRefused: The function says no.
            Exception: What the function raises else; TypeError if its answer has no JSON form.
        """
        hook = self._table.of(room).on_publish
        if hook is None:
            return data
        identity = self._identity
        try:
            await identity.old_connections.close()
            user = await identity.loaded_user()
            revised = encode(await hook(user, room, orjson.loads(data), identity.claims))
        except Exception:
            counters.publications_refused += 1
            raise
        counters.publications_changed += revised != data
        return revised

    def presence_of(self, room: str) -> PresenceMode:
        """Return whether it is known who is in a room, and told to its members."""
        if is_user_room(room):
            return "kept" if conf().user_room_presence else "off"
        settings = self._table.of(room).settings
        if settings is None or not settings.keeps_presence:
            return "off"
        return "told" if settings.presence_events else "kept"

    def forget(self, *, keep_opened: bool = False) -> None:
        """Ask every rule again: who the client is has changed, or what it may.

        So is what a note has said. What tokens have opened is kept for the same user alone.
        """
        self._answers.forget()
        self._noted = None
        if not keep_opened:
            self._opened = None

    def open(self, rooms: Iterable[str], seconds: float) -> None:
        """Let the client subscribe to rooms for some seconds, whatever the rules say: by tokens."""
        if self._opened is None:
            most = max(MAX_OPENED, conf().max_rooms_per_client or MAX_NOTED)
            self._opened = OpenedRooms(self.members, most)
        self._opened.open(rooms, seconds)

    def take_note_of(self, rooms: Iterable[str], seconds: float) -> None:
        """Let the client subscribe to rooms where the rules let it in a short time ago."""
        if self._noted is None:
            self._noted = OpenedRooms((), MAX_NOTED)
        self._noted.open(rooms, seconds)

    def enter(self, room: str) -> None:
        """Note that the client comes into a room: a token that is over by now has not let it in."""
        if self._opened is not None:
            self._opened.enter(room)

    def was_opened(self, room: str) -> bool:
        """Return whether a token let the client into a room that it is in, even if it is over."""
        return self._opened is not None and self._opened.was_opened(room)

    def close(self, room: str) -> None:
        """Let the rule decide about a room again, and ask it."""
        self._answers.forget()
        self.closings += 1
        for opened in (self._opened, self._noted):
            if opened is not None:
                opened.close(room)

    def _is_open(self, room: str) -> bool:
        return (self._opened is not None and self._opened.is_open(room)) or (
            self._noted is not None and self._noted.is_open(room)
        )

    async def _open(self, room: str, token: str) -> None:
        if is_user_room(room):
            raise BadRoomToken("A user's own room needs no token.")
        if room in OWN_ROOMS:
            raise BadRoomToken("That room is for the workers alone.")
        grant = read_room_token(room, token)
        if grant.bearer is not None:
            await self._require_bearer(grant.bearer, room)
        self.open([room], grant.expires - time.time())

    async def _require_bearer(self, named: Credential, room: str) -> None:
        """Raise BadRoomToken if this client may not use a token for a room that names a user."""
        try:
            if not await self._identity.is_of(named, room):
                raise BadRoomToken("The room's token belongs to another user, or was revoked.")
        except RemovalsForgotten as error:
            raise BadRoomToken(
                "The room's token is too old: it is not remembered whether its user was put out "
                "of the room since. Get a new one."
            ) from error

    async def _owns(self, room: str) -> bool:
        user = await self._identity.user()
        return user.is_authenticated and room == user_room(user)
