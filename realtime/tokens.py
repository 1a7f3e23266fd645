"""Tokens that sign a WebSocket in where no cookie can: a page of another site, a program.

A token says who its bearer is, when it ends, and what more its issuer wants to say. No database is
asked to read one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.core import signing

from realtime.access.active_users import active_user, password_digests
from realtime.access.credential import BadToken as BadToken
from realtime.access.credential import Credential
from realtime.access.identity import Identity, key_of, name_of
from realtime.access.jwt_tokens import jwt_reader
from realtime.access.revocations import Verdict
from realtime.conf import conf

MAX_TOKEN: Final = 16 * 1024  # characters; a longer one is not looked at

_SALT = "realtime.token"


def issue_token(
    user: AbstractBaseUser,
    *,
    rooms: Sequence[str] = (),
    claims: Mapping[str, Any] | None = None,
    expires: float | None = None,
) -> str:
    """Return a token that signs `user` in: for the `connect` command, or a subprotocol.

    It is signed, not encrypted: whoever has it can read the user's primary key and name, the rooms
    and the claims.

    Args:
        user: A user who is saved.
        rooms: Globs of rooms that it opens, whatever the rules say; no user's own room. They are
            open for as long as the token is valid, and for the layer's `meta_ttl` (30 days) at
            most, unless the user is put out of them.
        claims: What rules get as `claims`: values with a JSON form.
        expires: Seconds until it expires, at most `TOKEN_MAX_AGE`, which is also the default.

    Raises:
        ValueError: The user is not saved, or the token would be longer than `MAX_TOKEN`.
    """
    key = key_of(user)
    if key is None:
        raise ValueError("Only a user with a primary key can have a token.")
    most, now = conf().token_max_age, time.time()
    payload: dict[str, Any] = {"u": key, "n": name_of(user), "i": now}
    payload["p"] = password_digests(user)[0]
    payload["e"] = now + (most if expires is None else min(expires, most))
    if rooms:
        payload["r"] = list(rooms)
    if claims:
        payload["c"] = dict(claims)
    token = signing.dumps(payload, salt=_SALT)
    if len(token) > MAX_TOKEN:
        raise ValueError(f"A token has at most {MAX_TOKEN:,} characters, not {len(token):,}.")
    return token


async def sign_in_by(token: str, identity: Identity) -> None:
    """Sign the bearer of a token in: one of ours, or a JWT.

    Raises:
        BadToken: It signs nobody in; the identity is what it was.
    """
    credential = await _read(token)
    user = None
    verdict = await identity.judge(credential)
    is_renewed = identity.credential.user_id == credential.user_id
    is_doubtful = not is_renewed and _is_of_whomever(credential)
    if verdict is Verdict.UNKNOWN or (verdict is Verdict.COUNTS and is_doubtful):
        await identity.old_connections.close()
        user = await active_user(credential)
        if user is None:
            raise BadToken("The token's user is gone, or may not sign in.")
    try:
        if verdict is Verdict.REVOKED or not identity.sign_in(credential, user):
            raise BadToken("The token's user was signed out.")
    except ValueError as error:
        raise BadToken("The token's user is gone.") from error


def _is_of_whomever(credential: Credential) -> bool:
    """Return whether a token may be of somebody who has left the site, however new it is.

    So may a JWT, whose issuer is another. By JWT_USER_FIELD its user was looked up already.
    """
    return credential.method == "jwt" and conf().jwt_user_field is None


async def _read(token: str) -> Credential:
    """Return what a token says: ours have colons, which JWTs have not."""
    if conf().jwt_algorithm is None or ":" in token:
        return read_token(token)
    if len(token) > MAX_TOKEN:
        raise BadToken("The token is too long.")
    return await jwt_reader().read(token)


def read_token(token: str) -> Credential:
    """Return what a token says.

    Raises:
        BadToken: It is not one of ours, or too old.
    """
    if len(token) > MAX_TOKEN:
        raise BadToken("The token is too long.")
    try:
        payload = signing.loads(token, salt=_SALT, max_age=conf().token_max_age)
    except signing.SignatureExpired as error:
        raise BadToken("The token is too old.") from error
    except (signing.BadSignature, ValueError) as error:
        raise BadToken("The token is not valid.") from error
    try:
        credential = Credential(
            method="token",
            user_id=payload["u"],
            name=payload["n"] or "",
            claims=payload.get("c", {}),
            rooms=tuple(payload.get("r", ())),
            issued=payload["i"],
            expires=payload["e"],
            password=payload["p"],
        )
        has_ended = payload["e"] <= time.time()
    except (KeyError, TypeError, AttributeError) as error:  # of another version, perhaps
        raise BadToken("The token is not valid.") from error
    if has_ended:
        raise BadToken("The token is too old.")
    return credential
