"""Publishing, from anywhere in Django: to a room, to a user."""

from __future__ import annotations

from asgiref.sync import async_to_sync
from channels import DEFAULT_CHANNEL_LAYER

from realtime.auth import User
from realtime.encoding import encode
from realtime.layers import sharded_layer
from realtime.rooms import require_room_name
from realtime.users import user_room
from shardlayer import Position


async def apublish(
    room: str, data: object, *, using: str = DEFAULT_CHANNEL_LAYER
) -> Position | None:
    """Publish `data` to everybody in `room`, and return once Redis has it.

    The data are written as JSON once, by `realtime.encoding.encode`. What one caller publishes to
    one room, each after the other's return, arrives in order.

    Returns:
        The publication's position; None in a room that keeps no history.

    Raises:
        ValueError: The room's name breaks the rules.
        TypeError: The data have no JSON form.
        MessageTooLarge: Their JSON is larger than the layer takes.
        ShardUnavailable: Redis did not answer in time; it may or may not have it.
    """
    require_room_name(room)
    return await sharded_layer(using).publish(room, encode(data))


def publish(room: str, data: object, *, using: str = DEFAULT_CHANNEL_LAYER) -> Position | None:
    """Do what `apublish` does, from synchronous code such as a view or a signal's receiver."""
    return async_to_sync(apublish)(room, data, using=using)


async def apublish_to_user(
    user: User, data: object, *, using: str = DEFAULT_CHANNEL_LAYER
) -> Position | None:
    """Publish `data` to a user's private room, and so to all of their devices.

    Returns and raises as `apublish` does.

    Raises:
        ValueError: The user is anonymous or not saved.
    """
    return await apublish(user_room(user), data, using=using)


def publish_to_user(
    user: User, data: object, *, using: str = DEFAULT_CHANNEL_LAYER
) -> Position | None:
    """Do what `apublish_to_user` does, from synchronous code."""
    return async_to_sync(apublish_to_user)(user, data, using=using)
