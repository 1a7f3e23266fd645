"""Publishing to a room, from anywhere in Django."""

from __future__ import annotations

from asgiref.sync import async_to_sync
from channels import DEFAULT_CHANNEL_LAYER

from realtime.encoding import encode
from realtime.layers import sharded_layer
from realtime.rooms import ROOM_RULE, is_room_name
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
    if not is_room_name(room):
        raise ValueError(f"{room!r} can't name a room. {ROOM_RULE}")
    return await sharded_layer(using).publish(room, encode(data))


def publish(room: str, data: object, *, using: str = DEFAULT_CHANNEL_LAYER) -> Position | None:
    """Do what `apublish` does, from synchronous code such as a view or a signal's receiver."""
    return async_to_sync(apublish)(room, data, using=using)
