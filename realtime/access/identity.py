"""Who is on a connection.

Channels' AuthMiddleware loads the session and the user of every connection, in a thread and
from the database, before the first byte is answered. Here it happens when somebody asks, once; of
a client without a session cookie it is known without looking. A token says who its bearer is, and
no database is asked before somebody wants to know more of the user than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from importlib import import_module
from typing import Any

from channels.auth import get_user
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.http.cookie import parse_cookie

from realtime.access.credential import NOBODY, Credential
from shardlayer.consumers import OldConnections

User = AbstractBaseUser | AnonymousUser


class Identity:
    """The user of one connection, and the credential that says so.

    A `user` that a middleware put into the scope counts; otherwise the session cookie does, until
    a token signs somebody in.

    Attributes:
        credential: What is known without asking anybody: NOBODY until a session was looked at.
        old_connections: Closed before the database is asked about this user.
    """

    __slots__ = ("_session_key", "_user", "credential", "old_connections")

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self.old_connections = OldConnections()
        self.credential = NOBODY
        self._user: User | None = scope.get("user")
        self._session_key = None if self._user else session_key(scope["headers"])
        if self._user is not None:
            self.credential = _credential_of(self._user)

    @property
    def claims(self) -> Mapping[str, Any]:
        """What the token says that signed the client in; empty if none did."""
        return self.credential.claims

    @property
    def known_user(self) -> User | None:
        """The user, if that is known without asking anybody; None if not yet."""
        return self._user

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

    async def user(self) -> User:
        """Return the user; the first call may read the session and the user.

        Of a token the user is known by primary key and perhaps by name. Django reads other fields
        from the database when they are used, which asynchronous code may not: see `loaded_user`.
        """
        user = self._user
        if user is None:
            key = self._session_key
            user = self._user = AnonymousUser() if key is None else await self._user_of_session(key)
        return user

    async def loaded_user(self) -> User:
        """Return the user with all fields, read once if a token signed in.

        A user who is gone or may not sign in any more is nobody.
        """
        user = await self.user()
        if isinstance(user, AbstractBaseUser) and user.get_deferred_fields():
            await self.old_connections.close()
            self._user = user = await active_user(self.credential) or AnonymousUser()
            if not user.is_authenticated:
                self.credential = NOBODY
        return user

    def sign_in(self, credential: Credential, user: User | None = None) -> None:
        """Make a credential the connection's from here on, and its user where they are loaded.

        Raises:
            ValueError: Its `user_id` is no primary key of a user.
        """
        self._user = user_by(credential) if user is None else user
        self.credential = credential

    async def _user_of_session(self, key: str) -> User:
        session = import_module(settings.SESSION_ENGINE).SessionStore(key)
        user: User = await get_user({"session": session})
        self.credential = _credential_of(user, session=session_digest(key))
        return user


def user_by(credential: Credential) -> User:
    """Return whom a credential names, with no more fields than it says: nothing is read.

    Raises:
        ValueError: The `user_id` is no primary key of a user.
    """
    if credential.user_id is None:
        return AnonymousUser()
    model = get_user_model()
    meta = model._meta
    try:
        known = {meta.pk.attname: meta.pk.to_python(credential.user_id)}
    except ValidationError as error:
        raise ValueError("The credential's user is no primary key of one.") from error
    if credential.name:
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


def session_key(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Return the key of the session that the request's cookies name, if any."""
    for name, value in headers:
        if name == b"cookie":
            key = parse_cookie(value.decode("latin-1")).get(settings.SESSION_COOKIE_NAME)
            if key:
                return key
    return None


def session_digest(key: str) -> str:
    """Return what stands for a session where its key, which signs in, must not."""
    return sha256(f"realtime.session:{key}".encode()).hexdigest()[:32]


def _credential_of(user: User, session: str | None = None) -> Credential:
    if not isinstance(user, AbstractBaseUser):  # a middleware's own kind of user has no key
        return NOBODY
    return Credential(
        method="middleware" if session is None else "session",
        user_id=key_of(user),
        name=name_of(user) or "",
        session=session,
    )


@database_sync_to_async  # type: ignore[untyped-decorator]
def active_user(credential: Credential) -> AbstractBaseUser | None:
    """Read a credential's user; None if they are gone, or may not sign in any more."""
    model = get_user_model()
    try:
        user: AbstractBaseUser = model._default_manager.get(
            pk=model._meta.pk.to_python(credential.user_id)
        )
    except (ObjectDoesNotExist, ValidationError):
        return None
    return user if user.is_active else None
