"""JSON Web Tokens: which of them sign in, and all the ways to forge one."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.auth.models import User
from django.core.checks import Error, Warning
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django import Settings

from realtime.access.credential import BadToken, Credential
from realtime.access.identity import Identity, OpenGate, user_by
from realtime.access.jwt_checks import check_jwt, check_jwt_is_for_us
from realtime.access.jwt_tokens import jwt_reader
from realtime.access.revocations import Revocation, Revocations, Verdict
from realtime.clients.protocol.commands import CLOSE_FAILED, CLOSE_SIGNED_OUT
from realtime.clients.sign_in_watch import watch_of
from realtime.tokens import MAX_TOKEN, issue_token, sign_in_by
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client, RecordingSink, offering
from tests.realtime.revocations import lets_count
from tests.realtime.users import end_queries
from tests.waiting import PATIENCE, until

SECRET = "a secret of at least thirty-two bytes"
ISSUER, AUDIENCE = "https://issuer.example", "realtime"
RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC = ec.generate_private_key(ec.SECP256R1())
OTHER_RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def pem(private: Any) -> str:
    """Return the public key that belongs to a private one."""
    key: bytes = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return key.decode()


SETTINGS: dict[str, dict[str, Any]] = {
    "HS256": {"JWT_KEYS": [SECRET]},
    "RS256": {"JWT_KEYS": [pem(RSA)]},
    "ES256": {"JWT_KEYS": [pem(EC)]},
}
PRIVATE: dict[str, Any] = {"HS256": SECRET, "RS256": RSA, "ES256": EC}


def configured(algorithm: str, **more: Any) -> dict[str, Any]:
    """Return REALTIME for tokens of an algorithm."""
    return {
        "JWT_ALGORITHM": algorithm,
        "JWT_ISSUER": ISSUER,
        "JWT_AUDIENCE": AUDIENCE,
        **SETTINGS[algorithm],
        **more,
    }


def claims(**more: Any) -> dict[str, Any]:
    """Return a payload that signs in; None takes a claim out."""
    now = int(time.time())
    said = {"sub": "7", "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 60, **more}
    return {name: value for name, value in said.items() if value is not None}


def signed(algorithm: str, **more: Any) -> str:
    """Return a token with these claims."""
    return jwt.encode(claims(**more), PRIVATE[algorithm], algorithm)


def by_hand(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    """Return three parts, as an attacker puts them together."""
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256"])
async def test_says_who_and_what(algorithm: str, settings: Settings) -> None:
    """User, name, rooms, claims and times are read, by each algorithm."""
    settings.REALTIME = configured(algorithm)
    token = signed(algorithm, preferred_username="ada", rooms=["orders.*"], team="red")
    read = await jwt_reader().read(token)
    assert (read.method, read.user_id, read.name) == ("jwt", "7", "ada")
    assert read.rooms == ("orders.*",)
    assert read.claims["team"] == "red"
    assert read.expires == read.issued + 60


async def test_claims_have_other_names(settings: Settings) -> None:
    """The settings say which claims are read; a number is a key as well."""
    settings.REALTIME = configured(
        "HS256", JWT_USER_CLAIM="uid", JWT_NAME_CLAIM="nick", JWT_ROOMS_CLAIM="may"
    )
    read = await jwt_reader().read(signed("HS256", uid=8, nick="eve", may=["news"]))
    assert (read.user_id, read.name, read.rooms) == ("8", "eve", ("news",))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"exp": int(time.time()) - 3_600}, "too old"),
        ({"nbf": int(time.time()) + 3_600}, "not valid yet"),
        ({"iat": int(time.time()) + 3_600}, "not valid yet"),
        ({"exp": None}, "not valid"),
        ({"exp": "soon"}, "not valid"),
        ({"exp": float("inf")}, "not valid"),
        ({"aud": "another site"}, "not valid"),
        ({"aud": None}, "not valid"),
        ({"iss": "https://another.example"}, "not valid"),
        ({"iss": None}, "not valid"),
        ({"sub": None}, "names a user"),
        ({"sub": ""}, "names a user"),
        ({"sub": True}, "names a user"),
        ({"sub": ["7"]}, "names a user"),
        ({"rooms": "orders"}, "list of strings"),
        ({"rooms": [7]}, "list of strings"),
    ],
)
async def test_claims_that_do_not_count(
    settings: Settings, more: dict[str, Any], reason: str
) -> None:
    """What is signed as it should be and still signs nobody in."""
    settings.REALTIME = configured("HS256")
    token = (
        jwt.encode(claims(**more), SECRET, "HS256")
        if more.get("exp") != "soon"
        else by_hand({"alg": "HS256"}, claims(**more))
    )
    with pytest.raises(BadToken, match=reason):
        await jwt_reader().read(token)


async def test_clocks_may_differ(settings: Settings) -> None:
    """30 seconds are forgiven, both ways; JWT_LEEWAY 0 forgives none."""
    now = int(time.time())
    settings.REALTIME = configured("HS256")
    await jwt_reader().read(signed("HS256", exp=now - 20, nbf=now + 20))
    settings.REALTIME = configured("HS256", JWT_LEEWAY=0)
    with pytest.raises(BadToken, match="too old"):
        await jwt_reader().read(signed("HS256", exp=now - 20))


async def test_clock_of_the_issuer_is_ahead(settings: Settings) -> None:
    """A token is dated by ours, so that one of before a sign-out does not count after it."""
    settings.REALTIME = configured("HS256")
    token = signed("HS256", iat=int(time.time()) + 20)
    reader, before = jwt_reader(), time.time()
    read = [(await reader.read(token)).issued for _ in range(2)]
    assert before - 1 <= read[0] <= time.time()
    assert read[1] == pytest.approx(read[0], abs=1)
    signed_out = Revocation(at=time.time() + 0.5, user="7")
    known = Revocations(lifetime=3600)
    known.learn(signed_out, time.time())
    assert known.judge(await reader.read(token), time.time() + 19) is Verdict.REVOKED


def forgeries() -> Iterator[tuple[str, str, str]]:
    """Yield what attackers try: a name, the algorithm of the settings, and a token."""
    for algorithm in SETTINGS:
        for none in ("none", "None", "NONE", "nOnE", ""):
            yield f"alg {none!r}", algorithm, by_hand({"alg": none, "typ": "JWT"}, claims())
        yield "no alg", algorithm, by_hand({"typ": "JWT"}, claims())
        good = signed(algorithm)
        head, body, signature = good.split(".")
        other = by_hand({}, claims(sub="1")).split(".")[1]
        yield "other claims", algorithm, f"{head}.{other}.{signature}"
        yield "no signature", algorithm, f"{head}.{body}."
        yield "two parts", algorithm, f"{head}.{body}"
        yield "four parts", algorithm, f"{good}.x"
        yield "empty", algorithm, ""
        yield "not ASCII", algorithm, "ä.ö.ü"
        yield "surrogate", algorithm, "\ud800.\ud800.\ud800"
        yield (
            "deep header",
            algorithm,
            (base64.urlsafe_b64encode(b'{"a":' + b"[" * 9_000).decode() + f".{body}.{signature}"),
        )
    # The public key as a secret, which everybody has (RFC 8725, 2.1).
    for private, algorithm in ((RSA, "RS256"), (EC, "ES256")):
        unsigned = by_hand({"alg": "HS256"}, claims()).rpartition(".")[0]
        mac = hmac.digest(pem(private).encode(), unsigned.encode(), "sha256")
        tail = base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
        yield "public key as a secret", algorithm, f"{unsigned}.{tail}"
    yield "another algorithm", "HS256", jwt.encode(claims(), RSA, "RS256")
    yield "another hash", "HS256", jwt.encode(claims(), SECRET + "x" * 64, "HS512")
    yield "another key", "RS256", jwt.encode(claims(), OTHER_RSA, "RS256")
    # A key that the token brings itself (RFC 8725, 2.8 and CVE-2018-0114).
    own = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(OTHER_RSA.public_key()))
    for header in ({"jwk": own}, {"jku": "https://evil.example"}, {"x5u": "https://evil.example"}):
        token = jwt.encode(claims(), OTHER_RSA, "RS256", headers=header)
        yield f"own {next(iter(header))}", "RS256", token


@pytest.mark.parametrize(
    ("algorithm", "token"),
    [
        pytest.param(algorithm, token, id=f"{algorithm} {name}")
        for name, algorithm, token in forgeries()
    ],
)
async def test_forged(settings: Settings, algorithm: str, token: str) -> None:
    """Each is refused in the same words, which say nothing of why."""
    settings.REALTIME = configured(algorithm)
    with pytest.raises(BadToken, match=r"^The token is not valid\.$"):
        await jwt_reader().read(token)


async def test_keys_can_be_rotated(settings: Settings) -> None:
    """Of several keys the one that fits counts."""
    settings.REALTIME = configured("RS256", JWT_KEYS=[pem(OTHER_RSA), pem(RSA)])
    assert (await jwt_reader().read(signed("RS256"))).user_id == "7"


@pytest.fixture
def ada(
    transactional_db: None, settings: Settings, memory_layer: ShardedChannelLayer
) -> Iterator[User]:
    """A user, whose password takes no time to hash, on a site that takes JWTs."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.REALTIME = configured("ES256", ROOMS={"*": {"subscribe": "nobody"}})
    yield User.objects.create_user("ada", email="ada@example.org", password="x")
    end_queries()


async def test_signs_in_and_opens_rooms(ada: User) -> None:
    """On a connection: the user, the own room, and the rooms that the token opens."""
    token = signed("ES256", sub=str(ada.pk), preferred_username="ada", rooms=["orders"])
    async with Client() as client:
        answer = await client.ask(1, connect={"token": token})
        assert answer["connected"]["user"] == "ada"
        assert answer["connected"]["room"] == f"user.{ada.pk}"
        assert "subscribed" in await client.ask(2, subscribe={"room": "orders"})
        assert "subscribed" in await client.ask(3, subscribe={"room": f"user.{ada.pk}"})
        answer = await client.ask(4, subscribe={"room": "news"})
        assert answer["error"]["code"] == "forbidden"


async def test_our_own_tokens_count_as_well(ada: User) -> None:
    """A site that takes JWTs still takes the tokens that it issues itself."""
    identity = Identity({"headers": []})
    await sign_in_by(issue_token(ada), identity)
    assert identity.credential.method == "token"


@pytest.mark.parametrize("user", ["ada", "7; --", "99999999999999999999999", "9" * 5_000, "-1"])
async def test_user_who_is_none(ada: User, user: str) -> None:
    """A key that no user has, or could have, is refused; nothing fails."""
    async with Client() as client:
        answer = await client.ask(1, connect={"token": signed("ES256", sub=user, iat=None)})
        assert answer["error"]["code"] == "bad_token"


@pytest.mark.parametrize("sub", ["007", " 7", "+7", "\uff17", 7])
async def test_one_user_has_one_key(settings: Settings, sub: str | int) -> None:
    """However the issuer writes it: whoever signs the user out writes it as Django does."""
    settings.REALTIME = configured("HS256")
    assert (await jwt_reader().read(signed("HS256", sub=sub))).user_id == "7"


async def test_name_is_not_the_users(ada: User) -> None:
    """A rule that looks at the user's name sees Django's, and not what the issuer says."""
    identity = Identity({"headers": []})
    token = signed("ES256", sub=str(ada.pk), preferred_username="admin")
    await sign_in_by(token, identity)
    assert (await identity.loaded_user()).get_username() == "ada"
    nobody_loaded = user_by(Credential(method="jwt", user_id=str(ada.pk), name="admin"))
    assert "username" in nobody_loaded.get_deferred_fields()  # type: ignore[union-attr]


async def test_another_field_names_the_user(ada: User, settings: Settings) -> None:
    """JWT_USER_FIELD finds them by what the issuer knows; who is not found is refused."""
    settings.REALTIME = configured("ES256", JWT_USER_CLAIM="email", JWT_USER_FIELD="email")
    read = await jwt_reader().read(signed("ES256", email="ada@example.org"))
    assert read.user_id == str(ada.pk)
    for nobody in ("eve@example.org", "", 7):
        with pytest.raises(BadToken):
            await jwt_reader().read(signed("ES256", email=nobody))


BY_KEY: dict[str, Any] = {}
BY_FIELD = {"JWT_USER_CLAIM": "email", "JWT_USER_FIELD": "email"}


async def leave_the_site(user: User, how: str) -> None:
    """Deactivate or delete a user, or deactivate them past the signals."""
    if how == "deleted":
        await (await User.objects.aget(pk=user.pk)).adelete()  # `user` keeps its key
    elif how == "updated":
        await User.objects.filter(pk=user.pk).aupdate(is_active=False)
    else:
        user.is_active = False
        await user.asave(update_fields=["is_active"])


@pytest.mark.parametrize("how", ["deactivated", "deleted", "updated"])
@pytest.mark.parametrize("named", [BY_KEY, BY_FIELD], ids=["by key", "by field"])
async def test_who_has_left_does_not_sign_in(
    ada: User,
    settings: Settings,
    memory_layer: ShardedChannelLayer,
    named: dict[str, Any],
    how: str,
) -> None:
    """The issuer may not know that the site let its user go: its new tokens are refused."""
    settings.REALTIME = configured("ES256", **named)
    key = str(ada.pk)
    log = watch_of(memory_layer, await memory_layer.node()).log

    def token() -> str:
        return signed("ES256", sub=key, email=ada.email)

    def counts() -> bool:
        return lets_count(log, key, whole_seconds=True)

    await until(counts)
    sink = RecordingSink()
    async with Client(sink=sink) as client:
        assert "connected" in await client.ask(1, connect={"token": token()})
        await leave_the_site(ada, how)
        if how != "updated":  # which sends no signal
            await asyncio.wait_for(sink.is_closed.wait(), PATIENCE)
            assert sink.closed is not None
            assert sink.closed[0] == CLOSE_SIGNED_OUT
    await until(counts)
    async with Client() as client:
        answer = await client.ask(1, connect={"token": token()})
        assert answer["error"]["code"] == "bad_token"
        answer = await client.ask(2, subscribe={"room": f"user.{key}"})
        assert answer["error"]["code"] == "forbidden"


async def test_who_never_was_a_user_does_not_sign_in(
    ada: User, memory_layer: ShardedChannelLayer
) -> None:
    """The user must be one of Django's, also where the log lets the token count."""
    log = watch_of(memory_layer, await memory_layer.node()).log
    stranger = str(ada.pk + 1)

    await until(lambda: lets_count(log, stranger, whole_seconds=True))
    async with Client() as client:
        answer = await client.ask(1, connect={"token": signed("ES256", sub=stranger)})
        assert answer["error"]["code"] == "bad_token"


class CountingGate(OpenGate):
    """Knows that nothing was taken back."""

    async def judge(self, credential: Credential) -> Verdict:
        return Verdict.COUNTS


async def test_rules_read_the_user_no_second_time(ada: User) -> None:
    """Who is looked up to be signed in has all fields."""
    identity = Identity({"headers": []}, CountingGate)
    await sign_in_by(signed("ES256", sub=str(ada.pk)), identity)
    user = await identity.user()
    assert isinstance(user, User)
    assert not user.get_deferred_fields()
    assert await identity.loaded_user() is user


async def test_renewal_asks_no_database(
    ada: User, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """Whom the connection is of already was read when they signed in, and the log tells the rest.

    So a renewal works while the database is away. Another user's sign-in does not.
    """
    identity = Identity({"headers": []}, CountingGate)
    await sign_in_by(signed("ES256", sub=str(ada.pk)), identity)

    def fail(*args: Any) -> None:
        raise ConnectionError("no database")

    monkeypatch.setattr(BaseDatabaseWrapper, "close_if_unusable_or_obsolete", fail)
    await sign_in_by(signed("ES256", sub=str(ada.pk), name="again"), identity)
    assert identity.claims["name"] == "again"
    with pytest.raises(ConnectionError):
        await sign_in_by(signed("ES256", sub=str(ada.pk + 1)), identity)


async def test_database_that_is_away_when_a_client_comes(
    ada: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that brings its token with the handshake is told so, and comes back by itself."""
    token = signed("ES256", sub=str(ada.pk), iat=None)

    def fail(*args: Any) -> None:
        raise ConnectionError("no database")

    with monkeypatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "close_if_unusable_or_obsolete", fail)
        for _ in range(3):
            sink = RecordingSink()
            client = Client(sink=sink, more=offering(token))
            await client.begin()
            answer = await client.receive()
            assert (answer["id"], answer["error"]["code"]) == (0, "internal")
            await asyncio.wait_for(sink.is_closed.wait(), PATIENCE)
            assert sink.closed is not None
            assert sink.closed[0] == CLOSE_FAILED
            await client.leave()
    assert caplog.text.count("Traceback") <= 1, "one is enough"


async def test_length_is_bounded(ada: User) -> None:
    """A megabyte is not looked at, nor is what is a little too long."""
    for length in (MAX_TOKEN + 1, 1_000_000):
        with pytest.raises(BadToken, match="too long"):
            await sign_in_by("a" * length, Identity({"headers": []}))


def ids(settings: Settings, **realtime: Any) -> list[str]:
    """Return the ids of what the checks find."""
    settings.REALTIME = realtime
    found = [*check_jwt(None), *check_jwt_is_for_us(None)]
    assert all(isinstance(each, Error | Warning) for each in found)
    assert SECRET not in str(found)
    return [str(each.id) for each in found]


@pytest.mark.parametrize(
    ("realtime", "found"),
    [
        ({}, []),
        (configured("RS256"), []),
        (configured("HS256"), []),
        (configured("RS256", JWT_KEYS=[]), ["realtime.E009"]),
        (configured("RS256", JWT_JWKS_URL="https://x.example/jwks"), ["realtime.E009"]),
        (configured("HS256", JWT_KEYS=[], JWT_JWKS_URL="https://x.example"), ["realtime.E009"]),
        (configured("RS256", JWT_KEYS=[SECRET]), ["realtime.E011"]),
        (configured("RS256", JWT_KEYS=[pem(EC)]), ["realtime.E011"]),
        (configured("HS256", JWT_KEYS=["short"]), ["realtime.E011"]),
        (configured("HS256", JWT_KEYS=[pem(RSA)]), ["realtime.E011"]),
        (configured("HS256", JWT_USER_FIELD="shoe_size"), ["realtime.E012"]),
        (configured("HS256", JWT_AUDIENCE=None), ["realtime.W004"]),
        (configured("HS256", JWT_ISSUER=None), ["realtime.W004"]),
    ],
)
def test_checks(settings: Settings, realtime: dict[str, Any], found: list[str]) -> None:
    """`manage.py check` finds what could not work, and with --deploy what is careless."""
    assert ids(settings, **realtime) == found


@pytest.mark.parametrize(
    "realtime",
    [
        {"JWT_ALGORITHM": "none"},
        {"JWT_ALGORITHM": "HS512"},
        {"JWT_JWKS_URL": "http://issuer.example/jwks"},
        {"JWT_JWKS_URL": "file:///etc/passwd"},
        {"JWT_KEYS": SECRET},
    ],
)
def test_settings_that_can_not_be(realtime: dict[str, Any]) -> None:
    """An algorithm that is not ours, an address that is not safe; no secret is shown."""
    from realtime.conf import problems

    ((key, sentence),) = problems(realtime)
    assert key in realtime
    assert SECRET not in sentence
