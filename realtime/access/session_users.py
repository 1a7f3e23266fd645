"""The users of sessions: read in Django's thread, for many clients at once.

When a worker starts, or a deploy brings everybody back, many clients come with a session at once.
A hop to the thread for each, with a database connection that is opened and closed around it
(CONN_MAX_AGE is 0 by default), costs several times what the two queries do. So the sessions that
are asked for while the thread is busy are read together afterwards.

Nothing is written: unlike `django.contrib.auth.get_user`, which may give a session another key,
and Channels' `get_user`, which deletes one whose user's password was changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib import import_module
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.utils.crypto import constant_time_compare

from realtime.access.anonymous import User, anonymous_user
from shardlayer import Tasks

MOST_AT_ONCE: Final = 50  # sessions; other work waits for the thread meanwhile

Found: TypeAlias = "User | Exception"


class SessionUsers:
    """Reads the users of sessions, for the clients of one event loop."""

    def __init__(self) -> None:
        self._tasks = Tasks()
        self._asked: dict[str, asyncio.Future[User]] = {}
        self._is_reading = False

    async def of(self, key: str) -> User:
        """Return the user of a session, as it is after this call; raises what the database raises.

        Of a session that is asked about by several at once each gets the same object.
        """
        future = self._asked.get(key)
        if future is None:
            future = self._asked[key] = asyncio.get_running_loop().create_future()
            if not self._is_reading:
                self._is_reading = True
                self._tasks.spawn(self._read_all(), "read users of sessions")
        return await asyncio.shield(future)  # one who goes away must not cancel the others'

    async def _read_all(self) -> None:
        futures: list[asyncio.Future[User]] = []
        try:
            while self._asked:
                keys = list(self._asked)[:MOST_AT_ONCE]
                futures = [self._asked.pop(key) for key in keys]
                for future, found in zip(futures, await _found(keys), strict=True):
                    if isinstance(found, Exception):
                        future.set_exception(found)
                        future.exception()  # taken note of, though whoever asked may be gone
                    else:
                        future.set_result(found)
        finally:
            self._is_reading = False
            for future in futures:
                future.cancel()  # those that have no answer, since the loop ends


async def _found(keys: Sequence[str]) -> Sequence[Found]:
    try:
        found: Sequence[Found] = await _read(keys)
    except Exception as error:
        return [error] * len(keys)
    return found


@database_sync_to_async  # type: ignore[untyped-decorator]
def _read(keys: Sequence[str]) -> list[Found]:
    """Return whose each session is, or why that can't be known."""
    found: list[Found] = []
    for key in keys:
        try:
            found.append(user_of_session(key))
        except Exception as error:
            found.append(error)
    return found


def user_of_session(key: str) -> User:
    """Return the user of a session; nobody, if it is gone, or their password was changed since."""
    session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    path = session.get(BACKEND_SESSION_KEY)
    if path not in settings.AUTHENTICATION_BACKENDS:
        return anonymous_user()
    try:
        user_key = get_user_model()._meta.pk.to_python(session[SESSION_KEY])
    except (KeyError, ValidationError):
        return anonymous_user()
    user: AbstractBaseUser | None = load_backend(path).get_user(user_key)
    if user is None or not _is_of_password(user, session.get(HASH_SESSION_KEY) or ""):
        return anonymous_user()
    return user


def _is_of_password(user: AbstractBaseUser, said: str) -> bool:
    """Return whether a session was made under the user's password; one without has no say."""
    if not hasattr(user, "get_session_auth_hash"):
        return True
    if constant_time_compare(said, user.get_session_auth_hash()):
        return True
    former = user.get_session_auth_fallback_hash()  # by SECRET_KEY_FALLBACKS
    return any(constant_time_compare(said, each) for each in former)


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, SessionUsers] = WeakKeyDictionary()


def session_users() -> SessionUsers:
    """Return what reads sessions in the running event loop."""
    loop = asyncio.get_running_loop()
    users = _of_loops.get(loop)
    if users is None:
        users = _of_loops[loop] = SessionUsers()
    return users
