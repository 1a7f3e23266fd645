"""Who is on a connection, and what finding that out costs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, User
from django.core import signing
from django.db import connections
from pytest_django import Settings

from realtime.access.identity import Identity, name_of, session_key
from realtime.tokens import BadToken, issue_token, user_of
from tests.realtime.client import Client
from tests.realtime.users import cookie_of

NO_COOKIE: list[tuple[bytes, bytes]] = [(b"host", b"x"), (b"cookie", b"theme=dark")]


@pytest.fixture
def ada(transactional_db: None, settings: Settings) -> Iterator[User]:
    """A user, whose password takes no time to hash."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    yield get_user_model().objects.create_user("ada", password="x")
    connections.close_all()


def scope(cookie: str) -> dict[str, object]:
    """Return a connection's scope with that Cookie header."""
    return {"headers": [(b"cookie", cookie.encode())]}


def test_session_key_is_read_from_the_cookies() -> None:
    """The session cookie counts, wherever it stands; an empty one does not."""
    name = settings.SESSION_COOKIE_NAME
    assert session_key([(b"cookie", f"a=b; {name}=k; c=d".encode())]) == "k"
    assert session_key([(b"cookie", f"{name}=".encode())]) is None
    assert session_key(NO_COOKIE) is None
    assert session_key([]) is None
    assert session_key([(b"cookie", b"\xff;;=")]) is None


async def test_without_a_cookie_nobody_is_asked() -> None:
    """Without a session cookie the user is anonymous, and the database stays closed."""
    identity = Identity({"headers": NO_COOKIE})
    assert isinstance(await identity.user(), AnonymousUser)  # a query would fail this test
    assert name_of(await identity.user()) is None


async def test_cookie_names_the_user(ada: User) -> None:
    """A session cookie signs in, and the user is looked up once."""
    identity = Identity(scope(await database_sync_to_async(cookie_of)(ada)))
    assert name_of(await identity.user()) == "ada"
    assert await identity.user() is await identity.user()


async def test_stale_cookie_is_nobody(ada: User) -> None:
    """A session that is gone, or of a password since changed, signs nobody in."""
    cookie = await database_sync_to_async(cookie_of)(ada)
    ada.set_password("y")
    await ada.asave()
    assert name_of(await Identity(scope(cookie)).user()) is None
    assert name_of(await Identity(scope(f"{settings.SESSION_COOKIE_NAME}=gone")).user()) is None


async def test_middlewares_user_counts(ada: User) -> None:
    """A user that a middleware put into the scope is taken as it is."""
    assert await Identity({"headers": [], "user": ada}).user() is ada


async def test_token_signs_in(ada: User) -> None:
    """A token of a user is good for that user."""
    assert (await user_of(issue_token(ada))).get_username() == "ada"


async def test_tokens_end(ada: User, settings: Settings) -> None:
    """A token ends by age, with its user, and when it is tampered with."""
    token = issue_token(ada)
    with pytest.raises(BadToken, match="not valid"):
        await user_of(token[:-1] + ("a" if token[-1] != "a" else "b"))
    with pytest.raises(BadToken, match="not valid"):
        await user_of(signing.dumps(str(ada.pk)))  # signed for something else
    ada.is_active = False
    await ada.asave()
    with pytest.raises(BadToken, match="may not"):
        await user_of(token)
    await ada.adelete()
    with pytest.raises(BadToken, match="gone"):
        await user_of(token)
    settings.REALTIME = {"TOKEN_MAX_AGE": 1}
    old = signing.TimestampSigner(salt="realtime.token")
    old.timestamp = lambda: signing.b62_encode(1)  # type: ignore[method-assign]
    with pytest.raises(BadToken, match="too old"):
        await user_of(old.sign_object(str(ada.pk)))


@pytest.mark.usefixtures("memory_layer")
class TestConnect:
    """The `connect` command."""

    async def test_anonymous(self) -> None:
        """Without a token it says where one is, and that one is nobody."""
        async with Client() as client:
            answer = await client.ask(1, connect={})
            assert answer["connected"]["user"] is None
            assert answer["connected"]["node"]

    async def test_by_cookie(self, ada: User) -> None:
        """With a session cookie it names the user."""
        cookie = await database_sync_to_async(cookie_of)(ada)
        async with Client(headers={"Cookie": cookie}) as client:
            assert (await client.ask(1, connect={}))["connected"]["user"] == "ada"

    async def test_by_token(self, ada: User) -> None:
        """With a token it signs in, and stays signed in."""
        async with Client() as client:
            answer = await client.ask(1, connect={"token": issue_token(ada)})
            assert answer["connected"]["user"] == "ada"
            assert (await client.ask(2, connect={}))["connected"]["user"] == "ada"

    async def test_with_a_bad_token(self) -> None:
        """A bad token is an error and changes nothing."""
        async with Client() as client:
            assert (await client.ask(1, connect={"token": "x"}))["error"]["code"] == "bad_token"
            assert "subscribed" in await client.ask(2, subscribe={"room": "a"})
