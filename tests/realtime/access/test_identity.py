"""Who is on a connection, and what finding that out costs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, User
from pytest_django import Settings

from realtime.access.credential import NOBODY, Credential
from realtime.access.identity import Identity, name_of, session_digest, session_key
from realtime.access.users import user_room
from realtime.tokens import issue_token
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client
from tests.realtime.users import cookie_of, end_queries

NO_COOKIE: list[tuple[bytes, bytes]] = [(b"host", b"x"), (b"cookie", b"theme=dark")]


@pytest.fixture
def ada(
    transactional_db: None, settings: Settings, memory_layer: ShardedChannelLayer
) -> Iterator[User]:
    """A user, whose password takes no time to hash."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    yield get_user_model().objects.create_user("ada", password="x")
    end_queries()


def identity_headers(cookie: str) -> list[tuple[bytes, bytes]]:
    """Return a handshake's headers with that Cookie header."""
    return [(b"cookie", cookie.encode())]


def scope(cookie: str) -> dict[str, object]:
    """Return a connection's scope with that Cookie header."""
    return {"headers": identity_headers(cookie)}


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


async def test_cookie_names_nobody_once_the_connection_has_ended(ada: User) -> None:
    """What is read too late lets nobody in, and nothing else has to look after it."""
    identity = Identity(scope(await database_sync_to_async(cookie_of)(ada)))
    identity.close()
    assert name_of(await identity.user()) is None
    assert not identity.sign_in(Credential(method="token", user_id=str(ada.pk)))


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


async def test_session_is_the_credential(ada: User) -> None:
    """Once a session was looked at, it is known how the user signed in; its key is not shown."""
    cookie = await database_sync_to_async(cookie_of)(ada)
    identity = Identity(scope(cookie))
    assert identity.credential is NOBODY
    await identity.user()
    key = session_key(identity_headers(cookie))
    assert key is not None
    credential = identity.credential
    assert (credential.method, credential.user_id, credential.name) == (
        "session",
        str(ada.pk),
        "ada",
    )
    assert credential.session == session_digest(key) == identity.session_shown
    assert key not in repr(identity.credential)


async def test_credential_signs_in_without_a_query() -> None:
    """A credential's user is known by key and name; a query would fail this test."""
    identity = Identity({"headers": []})
    identity.sign_in(Credential(method="token", user_id="7", name="ada", claims={"team": "red"}))
    user = await identity.user()
    assert (user.pk, name_of(user), user_room(user)) == (7, "ada", "user.7")
    assert user.is_authenticated
    assert identity.claims == {"team": "red"}
    identity.sign_in(Credential(method="jwt", user_id="8"))
    assert name_of(await identity.user()) == ""


async def test_credential_of_no_key_is_refused() -> None:
    """What can be no primary key is refused, and changes nothing."""
    identity = Identity({"headers": []})
    for key in ("ada", "", "7; --", "9" * 5_000):
        with pytest.raises(ValueError, match="primary key"):
            identity.sign_in(Credential(method="jwt", user_id=key))
    assert not (await identity.user()).is_authenticated


async def test_loaded_user_has_all_fields(ada: User) -> None:
    """What the credential does not say is read once, for whoever asks for it."""
    ada.is_staff = True
    await ada.asave()
    identity = Identity({"headers": []})
    identity.sign_in(Credential(method="token", user_id=str(ada.pk), name="ada"))
    loaded = await identity.loaded_user()
    assert isinstance(loaded, User)
    assert loaded.is_staff
    assert await identity.loaded_user() is loaded is await identity.user()


@pytest.mark.parametrize("how", ["gone", "inactive"])
async def test_who_may_not_sign_in_is_nobody(ada: User, how: str) -> None:
    """A user who was deleted or deactivated is nobody, whatever the credential says."""
    identity = Identity({"headers": []})
    identity.sign_in(Credential(method="token", user_id=str(ada.pk), name="ada"))
    if how == "gone":
        await ada.adelete()
    else:
        ada.is_active = False
        await ada.asave()
    assert not (await identity.loaded_user()).is_authenticated
    assert identity.credential is NOBODY


def test_token_may_open_rooms() -> None:
    """Globs name the rooms that a credential opens; without any it opens none."""
    credential = Credential(rooms=("orders.*", "news"))
    assert credential.opens("orders.7")
    assert credential.opens("news")
    assert not credential.opens("newsroom")
    assert not NOBODY.opens("news")


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
