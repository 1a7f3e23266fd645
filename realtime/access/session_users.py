"""The users of sessions, read for many clients at once (`batched_reads.py` beside this).

Nothing is written: unlike `django.contrib.auth.get_user`, which may give a session another key,
and Channels' `get_user`, which deletes one whose user's password was changed.
"""

from __future__ import annotations

from importlib import import_module

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
from realtime.access.batched_reads import BatchedReads


class SessionUsers(BatchedReads[str, User]):
    """Reads the users of sessions by the sessions' keys, for the clients of one event loop."""

    def __init__(self) -> None:
        super().__init__(user_of_session, "read users of sessions")


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
