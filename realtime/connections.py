"""Ending what clients have: their connections, and their places in rooms. From anywhere in Django.

A client that is signed out may come back and sign in anew, if it still can. To keep somebody out,
take away what they sign in with: deactivate the user, end the session.
"""

from __future__ import annotations

import time

import orjson

from realtime.access.anonymous import User
from realtime.access.identity import session_digest
from realtime.access.revocations import Revocation
from realtime.access.users import user_key
from realtime.rooms.room_names import CONTROL_ROOM, require_room_name
from realtime.sharded_layer import sharded_layer


async def adisconnect(user: User | object) -> None:
    """Close all connections of a user with 4002, on whichever node, within a second.

    What was issued to the user until now counts no more: resume notes and tokens. A session still
    signs in. It is remembered for as long as notes and tokens live (`RESUME_TTL`, `TOKEN_MAX_AGE`),
    so a node that starts later knows as well. Returns once Redis has it.

    Args:
        user: A user, or the primary key of one, which is not looked up.

    Raises:
        ValueError: The user is anonymous or not saved, or it is no primary key.
        ShardUnavailable: Redis did not answer in time; it may or may not have it.
    """
    await atell(Revocation(at=time.time(), user=user_key(user)))


def disconnect(user: User | object) -> None:
    """Do what `adisconnect` does, from synchronous code."""
    tell(Revocation(at=time.time(), user=user_key(user)))


async def adisconnect_session(session_key: str) -> None:
    """Close the connections that signed in by a session of Django's, which has ended.

    It must not sign in again: delete it as well. Raises what `adisconnect` raises.
    """
    await atell(Revocation(at=time.time(), session=session_digest(session_key)))


def disconnect_session(session_key: str) -> None:
    """Do what `adisconnect_session` does, from synchronous code."""
    tell(Revocation(at=time.time(), session=session_digest(session_key)))


async def aunsubscribe(user: User | object, room: str) -> None:
    """Put all connections of a user out of a room, on whichever node, within a second.

    They are told so, and stay connected. Who asks for the room again is decided by the rules; a
    note or a token that was issued until now does not open it. Remembered as `adisconnect` is.

    Raises:
        ValueError: As `adisconnect` does, or the room's name breaks the rules.
        ShardUnavailable: Redis did not answer in time; it may or may not have it.
    """
    require_room_name(room)
    await atell(Revocation(at=time.time(), user=user_key(user), room=room))


def unsubscribe(user: User | object, room: str) -> None:
    """Do what `aunsubscribe` does, from synchronous code."""
    require_room_name(room)
    tell(Revocation(at=time.time(), user=user_key(user), room=room))


async def atell(revocation: Revocation) -> None:
    """Tell all workers what was taken back."""
    await sharded_layer().publish(CONTROL_ROOM, orjson.dumps(revocation.to_json()))


def tell(revocation: Revocation) -> None:
    """Do what `atell` does, from synchronous code."""
    sharded_layer().publish_sync(CONTROL_ROOM, orjson.dumps(revocation.to_json()))
