"""Tokens that open one room: a page may join just the room that the server rendered into it.

A view decides who sees the page; the signature carries that decision to the WebSocket. Nobody asks
the session, the database or a rule again.

A token reads `EXPIRES.ISSUED.USER.SESSION.SIGNATURE`. The signature covers the room's name as well,
which the client sends beside it; so a token is of no use for any other room.
"""

from __future__ import annotations

import time
import warnings
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final

from channels.layers import get_channel_layer
from django.core import signing

from realtime.access.anonymous import User
from realtime.access.credential import Credential
from realtime.access.identity import key_of, session_digest
from realtime.access.users import is_user_room
from realtime.conf import conf
from realtime.rooms.room_names import (
    MAX_ROOM_TOKEN,
    REMOVALS_ROOM,
    ROOM_END,
    require_room_name,
)
from shardlayer import ShardedChannelLayer

_SALT: Final = "realtime.room"


class BadRoomToken(Exception):
    """The token does not open the room to whoever shows it; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomGrant:
    """What a token for a room says.

    Attributes:
        expires: Until when it opens the room, in Unix seconds.
        bearer: The user whose it is, a session of theirs if one is named, and since when; None:
            whoever shows it.
    """

    expires: int
    bearer: Credential | None


def sign_room(
    room: str,
    user: User | None = None,
    *,
    session_key: str | None = None,
    expires: float | None = None,
) -> str:
    """Return a token with which a client subscribes to `room`, whatever the rules say.

    It is signed, not encrypted. Only subscribing and reading the history are opened by it. The
    connection stays in the room when it has expired; who joins again needs a new one.

    Args:
        room: The room's name; no user's own room, whose rule is fixed.
        user: The only user who may use it; a connection's user is found by its session, or by the
            token that it signed in with. Without it, or if anonymous, whoever has it may.
        session_key: A session of that user. A connection with its cookie is known to be theirs, and
            nobody looks into the session.
        expires: Seconds from now; without it `ROOM_TOKEN_MAX_AGE`. Of a token that names a user, at
            most that setting, or a day if that is longer, and at most the layer's `meta_ttl`: the
            workers remember for as long who was put out of a room. A longer time is cut, with a
            RuntimeWarning.

    Raises:
        ValueError: The room's name breaks the rules or is a user's own, the user is not saved, or
            the time is not above 0.
    """
    require_room_name(room)
    if is_user_room(room):
        raise ValueError(f"{room} is a user's own room: only its user joins it, without a token.")
    seconds = conf().room_token_max_age if expires is None else expires
    if not seconds > 0:
        raise ValueError(f"expires must be a number of seconds above 0, not {expires!r}.")
    owner = session = ""
    if user is not None and user.is_authenticated:
        owner = _written(user)
        seconds = _at_most(_removals_kept(), seconds)
        if session_key:
            session = session_digest(session_key)
    now = time.time()
    text = f"{int(now + seconds)}.{int(now * 1e6)}.{owner}.{session}"
    token = _signer().sign(f"{room}{ROOM_END}{text}").partition(ROOM_END)[2]
    if len(token) > MAX_ROOM_TOKEN:
        raise ValueError(f"A token has at most {MAX_ROOM_TOKEN} characters, not {len(token)}.")
    return token


def _removals_kept() -> float:
    """Return for how many seconds workers remember who was put out of a room."""
    layer = get_channel_layer()
    if isinstance(layer, ShardedChannelLayer):
        return layer.options.policy_of(REMOVALS_ROOM).ttl
    return conf().removal_lifetime


def _at_most(most: float, seconds: float) -> float:
    """Return for how long a token of a user opens its room; warn if that is less than was asked."""
    if seconds > most:
        warnings.warn(
            f"A room's token that names a user lives for {most:,.0f} s, not for {seconds:,.0f} s: "
            "it is not remembered for longer who was put out of a room. To have it live longer, "
            "raise REALTIME['ROOM_TOKEN_MAX_AGE'], or the layer's 'meta_ttl' if that is shorter.",
            RuntimeWarning,
            stacklevel=3,
        )
    return min(seconds, most)


def read_room_token(room: str, token: str) -> RoomGrant:
    """Return what a token for a room says; it is not looked at who shows it.

    Raises:
        BadRoomToken: It is not one of ours, is of another room, or has expired.
    """
    if len(token) > MAX_ROOM_TOKEN or not token.isascii():
        raise BadRoomToken("The room's token is not valid.")
    try:
        signed = _signer().unsign(f"{room}{ROOM_END}{token}")
        expires, issued, user, session = signed.partition(ROOM_END)[2].split(".")
        bearer = _bearer(user, session, int(issued) / 1e6) if user else None
        grant = RoomGrant(expires=int(expires), bearer=bearer)
    except (signing.BadSignature, ValueError) as error:
        raise BadRoomToken("The room's token is not valid.") from error
    if grant.expires <= time.time():
        raise BadRoomToken("The room's token is too old.")
    return grant


def _written(user: User) -> str:
    """Return a user's primary key, of letters that a URL may have; never empty."""
    key = key_of(user)
    if not key:
        raise ValueError("Only a user with a primary key can get a token for a room.")
    return urlsafe_b64encode(key.encode()).rstrip(b"=").decode("ascii")


def _bearer(user: str, session: str, issued: float) -> Credential:
    key = urlsafe_b64decode(user + "=" * (-len(user) % 4)).decode()
    return Credential(method="token", user_id=key, session=session or None, issued=issued)


def _signer() -> signing.Signer:
    return signing.Signer(salt=_SALT, sep=".")
