"""Tokens of our own: what they say, and which of them sign nobody in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import signing
from pytest_django import Settings

from realtime.access.credential import NOBODY
from realtime.access.identity import Identity
from realtime.tokens import MAX_TOKEN, BadToken, issue_token, read_token, sign_in_by
from shardlayer import ShardedChannelLayer
from tests.realtime.users import end_queries

OTHER_KEY = "another secret key, as long as they are in production"


@pytest.fixture
def ada(
    transactional_db: None, settings: Settings, memory_layer: ShardedChannelLayer
) -> Iterator[User]:
    """A user, whose password takes no time to hash."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    yield User.objects.create_user("ada", password="x")
    end_queries()


def signed(payload: Any, *, salt: str = "realtime.token", **how: Any) -> str:
    """Return a payload, signed as tokens are."""
    return signing.dumps(payload, salt=salt, **how)


def test_says_what_it_was_given() -> None:
    """User, rooms, claims and end stand in it, and reading it asks no database."""
    token = issue_token(User(pk=7, username="ada"), rooms=["a.*"], claims={"team": 1}, expires=60)
    read = read_token(token)
    assert (read.method, read.user_id, read.name) == ("token", "7", "ada")
    assert (read.rooms, read.claims) == (("a.*",), {"team": 1})
    assert read.expires is not None
    assert read.expires - read.issued == pytest.approx(60)


def test_no_token_outlives_the_setting(settings: Settings) -> None:
    """TOKEN_MAX_AGE bounds each token, also one that was made under a longer one."""
    long = issue_token(User(pk=7), expires=1_000_000)
    read = read_token(long)
    assert read.expires is not None
    assert read.expires - read.issued == pytest.approx(3_600)
    settings.REALTIME = {"TOKEN_MAX_AGE": 1}
    old = signing.TimestampSigner(salt="realtime.token")
    old.timestamp = lambda: signing.b62_encode(1)  # type: ignore[method-assign]
    with pytest.raises(BadToken, match="too old"):
        read_token(old.sign_object({"u": "7", "n": "", "i": 1, "e": 1e12}))


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param("", "not valid", id="empty"),
        pytest.param("x", "not valid", id="no token"),
        pytest.param("a" * 1_000_000, "too long", id="1 MB"),
        pytest.param("a:b:c", "not valid", id="no signature"),
        pytest.param("ä:ö:ü", "not valid", id="not ASCII"),
        pytest.param("\ud800:\0:x", "not valid", id="half a surrogate pair"),
    ],
)
def test_rubbish_is_refused(token: str, reason: str) -> None:
    """What is no token of ours gets a reason and nothing else."""
    with pytest.raises(BadToken, match=reason):
        read_token(token)


def test_only_our_signature_counts() -> None:
    """Of another purpose, of another key, changed, and ended tokens sign nobody in."""
    whole: dict[str, Any] = {"u": "7", "n": "ada", "i": 1.0, "e": 1e12, "p": ""}
    assert read_token(signed(whole)).user_id == "7"
    for bad in (
        signed(whole, salt="realtime.note"),
        signed(whole, salt="django.core.signing"),
        signed(whole, key=OTHER_KEY),
        signed(whole)[:-1] + ("a" if signed(whole)[-1] != "a" else "b"),
        "." + signed(whole),  # said to be compressed
        signed([]),
        signed({}),
        signed(None),
        signed({**whole, "e": "never"}),
    ):
        with pytest.raises(BadToken, match="not valid"):
            read_token(bad)
    with pytest.raises(BadToken, match="too old"):
        read_token(signed(whole | {"e": 1.0}))


def test_secret_key_can_be_rotated(settings: Settings) -> None:
    """A token of the former key counts as long as that key is among SECRET_KEY_FALLBACKS."""
    token = issue_token(User(pk=7))
    former, settings.SECRET_KEY = settings.SECRET_KEY, OTHER_KEY
    with pytest.raises(BadToken, match="not valid"):
        read_token(token)
    settings.SECRET_KEY_FALLBACKS = [former]
    assert read_token(token).user_id == "7"


def test_what_can_be_no_token_is_the_issuers_error() -> None:
    """A user without a key, and more than a token holds, is refused when it is made."""
    with pytest.raises(ValueError, match="primary key"):
        issue_token(User())
    with pytest.raises(ValueError, match="at most"):
        issue_token(User(pk=7), claims={"much": "x" * MAX_TOKEN})


async def test_signs_in(ada: User) -> None:
    """A token of a user is good for that user, and not once they are deactivated or gone."""
    token, identity = issue_token(ada), Identity({"headers": []})
    await sign_in_by(token, identity)
    assert (await identity.user()).pk == ada.pk
    ada.is_active = False
    await ada.asave()
    nobody = Identity({"headers": []})
    with pytest.raises(BadToken, match="may not"):
        await sign_in_by(token, nobody)
    await ada.adelete()
    with pytest.raises(BadToken, match="gone"):
        await sign_in_by(token, nobody)
    assert nobody.credential is NOBODY
