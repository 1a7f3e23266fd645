"""Notes that let a client come back at no cost: who it is, and which rooms it was in.

A worker signs one for a client that is signed in or in rooms, and the client brings it to whichever
worker it comes back to. So neither the session nor the database nor a rule is asked again when
thousands come back at once. A note lives for minutes. A revocation that came after it still counts,
and one that its writer had not heard of: see `revocations.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final, cast

from django.core import signing

from realtime.access.credential import Credential, SignInMethod
from realtime.access.users import is_user_room
from realtime.conf import Conf, conf, room_settings
from shardlayer import Position

MAX_NOTE: Final = 16 * 1024  # characters
CLOCK_LEEWAY: Final = 30.0  # seconds that a note may seem to come from the future

_SALT = "realtime.note"
_TEXT_GROWTH = 4 / 3  # of base64
_SIGNATURE = 64  # characters, and more than timestamp and signature have


class BadNote(Exception):
    """The note is not one of ours, or too old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeNote:
    """What a note says.

    Attributes:
        credential: Who brings it.
        bearer: Whom a room's token named, if nobody is signed in: it counts with their session.
        rooms: Those it was in by the rules, as long as these are what they were.
        signed: Those that tokens had opened; as long as well.
        issued: When it was written, in Unix seconds.
        heard: Up to where its writer had heard the log of revocations; None where it does not say.
        ends: When it counts no more.
    """

    credential: Credential
    bearer: Credential | None
    rooms: set[str]
    signed: set[str]
    issued: float
    heard: Position | None
    ends: float


def write_note(
    credential: Credential,
    rooms: Iterable[str],
    bearer: Credential | None = None,
    is_signed: Callable[[str], bool] = lambda room: False,
    heard: Position | None = None,
) -> str | None:
    """Return a note for a client in these rooms; None if even without a room it is too long.

    `is_signed` says of a room whether a token of its own opened it: no rule is asked about it.
    `heard` is up to where the log of revocations was heard by which the client is in these rooms.

    Rooms for which there is no place are left out: their rules are asked when the client is back.
    Users' own rooms are, too: who they belong to is known without.
    """
    payload: dict[str, Any] = {"i": time.time(), "m": credential.method, "f": _fingerprint(conf())}
    said: dict[str, Any] = {
        "u": credential.user_id,
        "n": credential.name,
        "c": dict(credential.claims),
        "o": list(credential.rooms),
        "a": credential.issued,
        "e": credential.expires,
        "s": credential.session,
    }
    if heard is not None:
        said["h"] = [heard.offset, heard.epoch]
    if bearer is not None:
        said["b"] = [bearer.user_id, bearer.session, bearer.issued]
    payload |= {key: value for key, value in said.items() if value}
    free = MAX_NOTE / _TEXT_GROWTH - _SIGNATURE - len(signing.JSONSerializer().dumps(payload))
    kept: list[str] = []
    signed: list[str] = []
    payload |= {"r": kept, "t": signed}
    for room in rooms:
        if is_user_room(room):
            continue
        free -= len(room) + 3  # quotes and a comma
        if free <= len('"r":[],"t":[],'):
            break
        (signed if is_signed(room) else kept).append(room)
    note = signing.dumps(payload, salt=_SALT)
    return note if len(note) <= MAX_NOTE else None


def read_note(note: str) -> ResumeNote:
    """Return what a note says.

    Raises:
        BadNote: It says nothing that counts.
    """
    if len(note) > MAX_NOTE:
        raise BadNote("The note is too long.")
    settings, now = conf(), time.time()
    try:
        payload = signing.loads(note, salt=_SALT, max_age=timedelta(seconds=settings.note_lifetime))
    except signing.SignatureExpired as error:
        raise BadNote("The note is too old.") from error
    except (signing.BadSignature, ValueError) as error:
        raise BadNote("The note is not valid.") from error
    try:
        said = _read(payload, settings)
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # of another version
        raise BadNote("The note is not valid.") from error
    if not now - settings.note_lifetime < said.issued < now + CLOCK_LEEWAY:
        raise BadNote("The note is too old, or was issued in the future.")
    if said.credential.expires is not None and said.credential.expires <= now:
        raise BadNote("The sign-in of the note has expired.")
    return said


def _read(payload: Any, settings: Conf) -> ResumeNote:
    credential = Credential(
        method=cast(SignInMethod, payload["m"]),
        user_id=payload.get("u"),
        name=payload.get("n", ""),
        claims=payload.get("c", {}),
        rooms=tuple(payload.get("o", ())),
        issued=payload.get("a", 0.0),
        expires=payload.get("e"),
        session=payload.get("s"),
    )
    bearer = None
    if "b" in payload:
        user, session, issued = payload["b"]
        bearer = Credential(method="token", user_id=user, session=session, issued=issued)
    heard = None  # of an earlier version
    if "h" in payload:
        offset, epoch = payload["h"]
        heard = Position(int(offset), str(epoch))
    is_same = payload["f"] == _fingerprint(settings)
    return ResumeNote(
        credential=credential,
        bearer=bearer,
        rooms=set(payload["r"] if is_same else ()),
        signed=set(payload.get("t", ()) if is_same else ()),  # of an earlier version: none
        issued=payload["i"],
        heard=heard,
        ends=payload["i"] + settings.note_lifetime,
    )


def _fingerprint(settings: Conf) -> str:
    """Return what changes with the rules: what the former ones allowed must not come back."""
    global _latest
    if _latest is None or _latest[0] is not settings:
        rules = repr((room_settings(), settings.authorize, settings.user_room_prefix))
        _latest = settings, sha256(rules.encode()).hexdigest()[:12]
    return _latest[1]


_latest: tuple[Conf, str] | None = None
