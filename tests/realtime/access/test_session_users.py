"""Whose sessions are, read for many clients in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, SESSION_KEY
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django import Settings

from realtime.access import session_users as module
from realtime.access.batched_reads import MOST_AT_ONCE
from realtime.access.session_users import SessionUsers
from tests.realtime.users import cookie_of, end_queries


@pytest.fixture
def ada(transactional_db: None, settings: Settings) -> Iterator[User]:
    """A user, whose password takes no time to hash."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    yield User.objects.create_user("ada", password="x")
    end_queries()


@sync_to_async
def session_of(user: User, **changes: Any) -> str:
    """Sign a user in and return the session's key; what is changed to None is taken out."""
    key = cookie_of(user).rpartition("=")[2]
    session = SessionStore(key)
    for name, value in changes.items():
        session[name] = value
        if value is None:
            del session[name]
    session.save()
    return key


async def test_a_session_names_its_user(ada: User) -> None:
    """And only as long as it is there, and of this password."""
    key = await session_of(ada)
    users = SessionUsers()
    assert await users.of(key) == ada
    # Past the signals, which would tell other workers.
    await User.objects.filter(pk=ada.pk).aupdate(password=make_password("y"))
    assert isinstance(await users.of(key), AnonymousUser)
    assert await Session.objects.acount() == 1  # nothing was written


@pytest.mark.parametrize(
    "changes",
    [
        {SESSION_KEY: None},
        {SESSION_KEY: "999"},
        {SESSION_KEY: "not a key"},
        {BACKEND_SESSION_KEY: None},
        {BACKEND_SESSION_KEY: "os.path"},
        {BACKEND_SESSION_KEY: ["a"]},
        {"_auth_user_hash": None},
        {"_auth_user_hash": "é"},
    ],
)
async def test_what_names_nobody(ada: User, changes: dict[str, Any]) -> None:
    """Whatever stands in a session, there is an answer."""
    assert isinstance(await SessionUsers().of(await session_of(ada, **changes)), AnonymousUser)


@pytest.mark.parametrize("key", ["gone", "", "x" * 10_000, "\0", "é", "../etc/passwd"])
async def test_cookies_of_strangers(ada: User, key: str) -> None:
    """Whatever a client calls a session, there is an answer."""
    assert isinstance(await SessionUsers().of(key), AnonymousUser)


async def test_a_key_of_before_goes_on(ada: User, settings: Settings) -> None:
    """A session made under a former SECRET_KEY counts, and keeps its key: nobody is signed out."""
    key = await session_of(ada)
    settings.SECRET_KEY_FALLBACKS = [django_settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one"
    assert await SessionUsers().of(key) == ada
    assert await Session.objects.filter(pk=key).aexists()


async def test_many_are_read_together(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked while the thread is busy is read in one go, of MOST_AT_ONCE at most."""
    keys = [await session_of(ada) for _ in range(5)]
    gone = [f"gone{number}" for number in range(MOST_AT_ONCE)]
    batches: list[int] = []
    users = SessionUsers()
    read = users._found

    async def counting(keys: Any) -> Any:
        batches.append(len(keys))
        return await read(keys)

    monkeypatch.setattr(users, "_found", counting)
    first = asyncio.ensure_future(users.of(keys[0]))
    await asyncio.sleep(0)  # its reading begins
    await asyncio.sleep(0)
    found = await asyncio.gather(*(users.of(key) for key in (*keys, *keys, *gone)))
    assert await first == ada
    assert found[:10] == [ada] * 10
    assert all(isinstance(each, AnonymousUser) for each in found[10:])
    assert batches == [1, MOST_AT_ONCE, 5]


async def test_one_that_fails_fails_alone(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error is of the session that made it."""
    key, read = await session_of(ada), module.user_of_session

    def failing(asked: str) -> Any:
        if asked == "bad":
            raise RuntimeError("broken")
        return read(asked)

    monkeypatch.setattr(module, "user_of_session", failing)
    users = SessionUsers()
    bad, good = await asyncio.gather(users.of("bad"), users.of(key), return_exceptions=True)
    assert isinstance(bad, RuntimeError)
    assert good == ada


async def test_who_goes_away_cancels_nobody(ada: User) -> None:
    """Another client that asks about the same session has its answer."""
    key, users = await session_of(ada), SessionUsers()
    leaving, staying = (asyncio.ensure_future(users.of(key)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == ada
    assert leaving.cancelled()
    assert await users.of(key) == ada


async def test_a_database_that_is_away_is_told(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody who asked is told, and the next one asks anew."""
    key, users = await session_of(ada), SessionUsers()

    def fail(*args: Any) -> None:
        raise ConnectionError("no database")

    with monkeypatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "close_if_unusable_or_obsolete", fail)
        answers = await asyncio.gather(
            *(users.of(each) for each in (key, "other")), return_exceptions=True
        )
        assert [type(each) for each in answers] == [ConnectionError] * 2
    assert await users.of(key) == ada
