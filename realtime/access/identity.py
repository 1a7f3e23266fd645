"""Who is on a connection.

Channels' AuthMiddleware loads the session and the user of every connection, in a thread and
from the database, before the first byte is answered. Here it happens once, when somebody asks.
Nobody is signed in on a connection without a session cookie, so nothing is loaded for it. A token
says who its bearer is, so the database is asked only when somebody wants to know more of the user.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any, Protocol

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError

from realtime.access.active_users import active_user
from realtime.access.anonymous import User, anonymous_user
from realtime.access.cookies import cookie_of
from realtime.access.credential import NOBODY, Credential
from realtime.access.revocations import RemovalsForgotten, Verdict
from realtime.access.session_users import SessionUsers
from shardlayer.consumers import OldConnections

_SESSION_READINGS = 3  # of one session, if users are signed out while it is read


class SignInGate(Protocol):
    """Who has the last word on a credential: it may have been taken back."""

    @property
    def version(self) -> int:
        """A number that changes whenever something was taken back."""

    async def judge(self, credential: Credential) -> Verdict:
        """Return what is known of a credential that was issued a while ago."""

    def admit(self, credential: Credential) -> bool:
        """Take note that a credential counts from now on, or return False: it does not."""

    def user_is_gone(self) -> None:
        """Take note that whoever signed in is gone, or may not sign in any more."""

    async def opens(self, credential: Credential, room: str) -> bool:
        """Return whether a room that a credential opened is still open by that.

        It may wait, but nothing comes between its last look and its answer.

        Raises:
            RemovalsForgotten: It is not remembered any more who was put out of rooms since its
                issue.
            RemovalsUnknown: It could not be read yet who was put out of rooms.
        """


class OpenGate:
    """Admits everybody whom the database knows: for an identity that belongs to no connection."""

    version = 0

    async def judge(self, credential: Credential) -> Verdict:
        """Know nothing."""
        return Verdict.UNKNOWN

    async def opens(self, credential: Credential, room: str) -> bool:
        """Close no room."""
        return True

    def admit(self, credential: Credential) -> bool:
        """Admit."""
        return True

    def user_is_gone(self) -> None:
        """End nothing."""


class ClosedGate(OpenGate):
    """Admits nobody: for an identity whose connection has ended."""

    async def judge(self, credential: Credential) -> Verdict:
        """Let nothing count."""
        return Verdict.REVOKED

    async def opens(self, credential: Credential, room: str) -> bool:
        """Open no room."""
        return False

    def admit(self, credential: Credential) -> bool:
        """Admit nobody."""
        return False


class Identity:
    """The user of one connection, and the credential that says so.

    A `user` that a middleware put into the scope counts; otherwise the session cookie does, until
    a token signs somebody in.

    Args:
        scope: The connection's.
        gate: Returns who is asked before a credential counts.

    Attributes:
        credential: What is known without asking anybody: NOBODY until a session was looked at.
        session: The digest of the session that the cookie names; None without one.
        bearer: The primary key, as text, of whom a token for a room showed the client to be, while
            nobody had to look at the session.
        old_connections: Closed before the database is asked about this user.
    """

    __slots__ = ("_gate", "_session_key", "_user", "bearer", "credential", "old_connections")

    def __init__(self, scope: Mapping[str, Any], gate: Callable[[], SignInGate] = OpenGate) -> None:
        self.old_connections = OldConnections()
        self.credential = NOBODY
        self.bearer: str | None = None
        self._gate = gate
        self._user: User | None = scope.get("user")
        self._session_key = None
        if self._user is None:
            self._session_key = session_key(scope["headers"])
        elif isinstance(self._user, AbstractBaseUser):
            # Of the middleware's session, if it has one: signing out of it ends the connection.
            key = getattr(scope.get("session"), "session_key", None)
            session = session_digest(key) if isinstance(key, str) else None
            signed_in_by = Credential(method="middleware", issued=time.time(), session=session)
            self._take(self._user, signed_in_by)

    def close(self) -> None:
        """Let go of the gate: the connection has ended, and nobody is let in by it any more."""
        self._gate = ClosedGate

    @property
    def claims(self) -> Mapping[str, Any]:
        """What the token says that signed the client in; empty if none did."""
        return self.credential.claims

    @property
    def known_user(self) -> User | None:
        """The user, if that is known without asking anybody; None if not yet."""
        return self._user

    @property
    def known_key(self) -> str | None:
        """The primary key of the user as text, as far as that is known without asking anybody."""
        return self.credential.user_id if self._user is None else key_of(self._user)

    @property
    def session_shown(self) -> str | None:
        """A digest of the session that the cookie names, looked at or not; None if it is no use.

        So it is once it turned out to be nobody's, and where another way signed the client in.
        """
        key = self._session_key
        if key is None or self.credential.method not in ("nobody", "session"):
            return None
        if self._user is not None and not self._user.is_authenticated:
            return None
        return session_digest(key)

    @property
    def is_known(self) -> bool:
        """Whether it is known who this is, without looking at a session."""
        return self._user is not None or self._session_key is None

    async def opens(self, room: str) -> bool:
        """Return whether a token lets its bearer subscribe to a room, whatever the rules say.

        One that is older than it is remembered who was put out of rooms does not.

        Raises:
            RemovalsUnknown: It could not be read yet who was put out of rooms.
        """
        try:
            credential = self.credential
            return (
                credential.opens(room)
                and await self._gate().opens(credential, room)
                and self.credential is credential  # else another sign-in came meanwhile
            )
        except RemovalsForgotten:
            return False

    async def judge(self, credential: Credential) -> Verdict:
        """Return what is known of a credential that somebody brings."""
        return await self._gate().judge(credential)

    async def is_of(self, named: Credential, room: str) -> bool:
        """Return whether this client is whom a token for a room names, and may still use it.

        It is, without a question to anybody, if the client shows the session that is named, and
        nothing was taken back since. Then the connection ends when that user is signed out.

        Raises:
            RemovalsForgotten: It is not remembered any more who was put out of rooms since then.
            RemovalsUnknown: It could not be read yet who was put out of rooms.
        """
        gate = self._gate()
        verdict = await gate.judge(named)
        if verdict is Verdict.REVOKED or not await gate.opens(named, room):
            return False
        shows_session = named.session is not None and named.session == self.session_shown
        if verdict is Verdict.COUNTS and shows_session:
            if not self.is_known:
                if not gate.admit(named):
                    return False
                self.bearer = named.user_id
            return True
        if key_of(await self.user()) != named.user_id:
            return False
        # Again: it may have been taken back while the session was read.
        return await gate.judge(named) is not Verdict.REVOKED and await gate.opens(named, room)

    async def user(self) -> User:
        """Return the user; the first call may read the session and the user.

        Of a token the user is known by primary key and perhaps by name. Django reads other fields
        from the database when they are used, which asynchronous code may not: see `loaded_user`.
        """
        user = self._user
        if user is None:
            if self._session_key is None:
                user = self._user = anonymous_user()
            else:
                user = await self._user_of_session(self._session_key)
        return user

    async def loaded_user(self) -> User:
        """Return the user with all fields, read once if a token signed in.

        A user who is gone or may not sign in any more is nobody, and the connection ends.
        """
        user = await self.user()
        if isinstance(user, AbstractBaseUser) and user.get_deferred_fields():
            await self.old_connections.close()
            user = await active_user(self.credential) or anonymous_user()
            if user.is_authenticated:
                self._user = user
            else:
                self._user, self.credential = user, NOBODY
                self._gate().user_is_gone()
        return user

    def sign_in(self, credential: Credential, user: User | None = None) -> bool:
        """Make a credential the connection's from here on, and its user where they are loaded.

        Returns:
            Whether it counts: it may have been taken back.

        Raises:
            ValueError: Its `user_id` is no primary key of a user.
        """
        user = user_by(credential) if user is None else user
        if not self._gate().admit(credential):
            return False
        self._user, self.credential = user, credential
        return True

    async def read_session_again(self) -> bool:
        """Return whether the session that signed in still does, and is the same user's.

        So it is asked of one that was recognised by a room's token, which signs in if it stands.
        Raises what the database raises.
        """
        before, key = self.credential, self._session_key
        said = before.user_id or self.bearer
        if key is None or said is None or before.method not in ("nobody", "session"):
            return before.method != "session"
        now = time.time()
        user = await SessionUsers.of_running_loop().of(key)
        if self.credential is not before:
            return True  # somebody signed in meanwhile
        if key_of(user) != said:
            return False
        credential = Credential(
            method="session",
            user_id=said,
            name=name_of(user) or "",
            session=session_digest(key),
            issued=now,
        )
        if not self._gate().admit(credential):
            return False
        self._user, self.credential = user, credential
        return True

    async def _user_of_session(self, key: str) -> User:
        gate = self._gate()
        for _ in range(_SESSION_READINGS):
            version, now = gate.version, time.time()
            user = await SessionUsers.of_running_loop().of(key)
            if gate.version == version:
                break  # else it may be this user who was signed out meanwhile
        if isinstance(user, AbstractBaseUser):
            signed_in_by = Credential(method="session", issued=now, session=session_digest(key))
            self._take(user, signed_in_by)
        else:
            self._user = user
        return self._user or user

    def _take(self, user: AbstractBaseUser, signed_in_by: Credential) -> None:
        """Let a user count that was read, or make the client nobody's."""
        credential = replace(signed_in_by, user_id=key_of(user), name=name_of(user) or "")
        if self._gate().admit(credential):
            self._user, self.credential = user, credential
        else:
            self._user = anonymous_user()


def user_by(credential: Credential) -> User:
    """Return whom a credential names, with no more fields than it says: nothing is read.

    Raises:
        ValueError: The `user_id` is no primary key of a user.
    """
    if credential.user_id is None:
        return anonymous_user()
    model = get_user_model()
    meta = model._meta
    try:
        known = {meta.pk.attname: meta.pk.to_python(credential.user_id)}
    except ValidationError as error:
        raise ValueError("The credential's user is no primary key of one.") from error
    if credential.name and credential.method != "jwt":  # whose name is another's to say
        known.setdefault(model.USERNAME_FIELD, credential.name)
    names = [field.attname for field in meta.concrete_fields if field.attname in known]
    user: AbstractBaseUser = model.from_db(None, names, [known[name] for name in names])
    return user


def name_of(user: User) -> str | None:
    """Return a user's name as text, empty if they have none; None of an anonymous user.

    A project's own user model may name its users by whatever a field can hold.
    """
    if not user.is_authenticated:
        return None
    if isinstance(user, AbstractBaseUser):
        name_field: str = get_user_model().USERNAME_FIELD
        if name_field in user.get_deferred_fields():
            return ""
    name: object = user.get_username()
    return "" if name is None else str(name)


def key_of(user: User) -> str | None:
    """Return a user's primary key as text; None of an anonymous user, or one not saved."""
    if not user.is_authenticated or user.pk is None:
        return None
    return str(user._meta.pk.value_to_string(user))


def canonical_key(text: str) -> str | None:
    """Return a primary key of a user as its field writes it, `7` of `007`; None if it is none."""
    field = get_user_model()._meta.pk
    try:
        user = get_user_model()(pk=field.to_python(text))
    except ValidationError:
        return None
    return key_of(user)


def session_key(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Return the key of the session that the request's cookies name, if any."""
    return cookie_of(headers, settings.SESSION_COOKIE_NAME)


def session_digest(key: str) -> str:
    """Return what stands for a session where its key, which signs in, must not."""
    return sha256(f"realtime.session:{key}".encode()).hexdigest()[:32]
