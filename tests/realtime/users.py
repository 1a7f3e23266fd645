"""Users who are signed in, as tests need them."""

from __future__ import annotations

from importlib import import_module

from asgiref.sync import SyncToAsync
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.db import connections


def cookie_of(user: User) -> str:
    """Sign a user in and return the Cookie header of that session."""
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return f"theme=dark; {settings.SESSION_COOKIE_NAME}={session.session_key}"


def end_queries() -> None:
    """Wait for what the thread of asynchronous code still asks the database; close connections.

    A server that has lost its clients may still read a session. SQLite refuses to empty a table
    that is read.
    """
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()
    connections.close_all()
