"""Ending what clients have: their connections, and their places in rooms. From anywhere in Django.

A client that is signed out may come back and sign in anew, if it still can. To keep somebody out,
take away what they sign in with: deactivate the user, end the session.
"""

from __future__ import annotations

import time
from functools import partial

import orjson

from realtime.access.anonymous import User
from realtime.access.identity import session_digest
from realtime.access.revocations import CLOCK_SKEW, Revocation
from realtime.access.users import user_key
from realtime.rooms.room_names import CONTROL_ROOM, REMOVALS_ROOM, require_room_name
from realtime.sharded_layer import sharded_layer
from realtime.twins import LayerCall, twins
from shardlayer import ShardedChannelLayer, ShardUnavailable


def _disconnect(user: User | object) -> LayerCall[None]:
    """Close all connections of a user with 4002, on whichever node, within a second.

    Notes and tokens that the user got until now are no longer valid. A session still signs
    in. It is remembered for as long as notes and tokens live (`RESUME_TTL`, `TOKEN_MAX_AGE`),
    so a node that starts later knows as well. Returns once Redis has it.

    Args:
        user: A user, or the primary key of one, which is not looked up.

    Raises:
        ValueError: The user is anonymous or not saved, or it is no primary key.
        ShardUnavailable: Redis did not answer in time; it may or may not have it.
    """
    return _telling(Revocation(at=time.time(), user=user_key(user)))


def _disconnect_session(session_key: str) -> LayerCall[None]:
    """Close the connections that signed in by a session of Django's, which has ended.

    It must not sign in again: delete it as well. Raises what `disconnect` raises.
    """
    return _telling(Revocation(at=time.time(), session=session_digest(session_key)))


def _unsubscribe(user: User | object, room: str) -> LayerCall[None]:
    """Put all connections of a user out of a room, on whichever node, within a second.

    They are told so, and stay connected. Who asks for the room again is decided by the rules; a
    note or a token that was issued until they are put out does not open it. It is remembered for
    as long as tokens for a room live (`ROOM_TOKEN_MAX_AGE`, a day at least).

    Raises:
        ValueError: As `disconnect` does, or the room's name breaks the rules.
        ShardUnavailable: Redis did not answer in time; it may or may not have it, or a part of it:
            that they are put out now, or that it is remembered.
    """
    require_room_name(room)
    layer = sharded_layer()
    return LayerCall(layer, partial(_put_out, layer, user_key(user), room))


async def _put_out(layer: ShardedChannelLayer, user: str, room: str) -> None:
    """Tell both logs that a user is put out of a room, the other one, too, if one is away.

    It holds once the workers are told. So what is remembered has the time of then, which is not
    before the issue of any token that the user has got until then.
    """

    async def tell(log: str, at: float) -> None:
        entry = Revocation(at=at, user=user, room=room)
        await layer.publish_reserved(log, orjson.dumps(entry.to_json()))

    began, failure = time.time(), None
    try:
        await tell(CONTROL_ROOM, began)
    except ShardUnavailable as error:
        failure = error
    holds = time.time()
    try:
        await tell(REMOVALS_ROOM, holds)
    except ShardUnavailable as error:
        raise failure or error from None
    if failure is not None:
        raise failure
    if holds - began > CLOCK_SKEW:  # who has signed in meanwhile is not concerned by the first
        await tell(CONTROL_ROOM, holds)


def _tell(revocation: Revocation) -> LayerCall[None]:
    """Tell all workers what was taken back."""
    return _telling(revocation)


def _telling(revocation: Revocation) -> LayerCall[None]:
    layer = sharded_layer()

    async def work() -> None:
        await layer.publish_reserved(CONTROL_ROOM, orjson.dumps(revocation.to_json()))

    return LayerCall(layer, work)


disconnect, adisconnect = twins(_disconnect)
disconnect_session, adisconnect_session = twins(_disconnect_session)
unsubscribe, aunsubscribe = twins(_unsubscribe)
tell, atell = twins(_tell)
