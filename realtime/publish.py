"""Publishing, from anywhere in Django: to a room, to a user, to everybody."""

from __future__ import annotations

from channels import DEFAULT_CHANNEL_LAYER

from realtime.access.anonymous import User
from realtime.access.users import user_room
from realtime.json_values import encode
from realtime.on_commit import apublish_on_commit, publish_on_commit
from realtime.rooms.room_names import require_room_name
from realtime.sharded_layer import sharded_layer
from shardlayer import Position

__all__ = [
    "aannounce",
    "announce",
    "apublish",
    "apublish_on_commit",
    "apublish_to_user",
    "publish",
    "publish_on_commit",
    "publish_to_user",
]


async def apublish(
    room: str,
    data: object,
    *,
    idempotency_key: str | None = None,
    using: str = DEFAULT_CHANNEL_LAYER,
) -> Position | None:
    """Publish `data` to everybody in `room`, and return once Redis has it.

    The data are written as JSON once, by `realtime.json_values.encode`. What one caller publishes
    to one room, each after the other's return, arrives in order.

    Args:
        room: 1 to 99 ASCII letters, digits, hyphens, underscores and periods.
        data: What has a JSON form.
        idempotency_key: Names this publication. Published again to the room under the same key
            within `idempotency_ttl` (5 minutes), it is not published but answered with the first
            one's position: so a caller can try again after ShardUnavailable, or run twice.
            1 to 128 characters; an empty one is refused, lest a field that was left empty pass for
            a name.
        using: The alias of the channel layer.

    Returns:
        The publication's position; None in a room that keeps no history.

    Raises:
        ValueError: The room's name breaks the rules.
        TypeError: The data have no JSON form, or the key is no key.
        MessageTooLarge: Their JSON is larger than the layer takes.
        ShardUnavailable: Redis did not answer in time; it may or may not have it.
    """
    require_room_name(room)
    return await sharded_layer(using).publish(room, encode(data), idempotency_key=idempotency_key)


def publish(
    room: str,
    data: object,
    *,
    idempotency_key: str | None = None,
    using: str = DEFAULT_CHANNEL_LAYER,
) -> Position | None:
    """Do what `apublish` does, from synchronous code such as a view or a signal's receiver.

    The thread waits for the process's background connection: no event loop is made.

    Raises:
        RuntimeError: An event loop runs in this thread; await `apublish` there.
    """
    require_room_name(room)
    return sharded_layer(using).publish_sync(room, encode(data), idempotency_key=idempotency_key)


async def apublish_to_user(
    user: User | object,
    data: object,
    *,
    idempotency_key: str | None = None,
    using: str = DEFAULT_CHANNEL_LAYER,
) -> Position | None:
    """Publish `data` to a user's private room, and so to all of their devices.

    `user` is a user, or the primary key of one, which is not looked up. Takes, returns and raises
    what `apublish` does.

    Raises:
        ValueError: The user is anonymous or not saved, or it is no primary key.
    """
    return await apublish(user_room(user), data, idempotency_key=idempotency_key, using=using)


def publish_to_user(
    user: User | object,
    data: object,
    *,
    idempotency_key: str | None = None,
    using: str = DEFAULT_CHANNEL_LAYER,
) -> Position | None:
    """Do what `apublish_to_user` does, from synchronous code."""
    return publish(user_room(user), data, idempotency_key=idempotency_key, using=using)


async def aannounce(data: object, *, using: str = DEFAULT_CHANNEL_LAYER) -> None:
    """Announce `data` to every client that is connected now, whichever rooms it is in.

    Returns once Redis has it. It is kept nowhere: each client gets it once, or not at all if its
    worker can't hear Redis at the moment.

    Raises:
        TypeError: The data have no JSON form.
        MessageTooLarge: Their JSON is larger than the layer takes.
        ShardUnavailable: Redis did not answer in time; it may or may not have been announced.
    """
    await sharded_layer(using).announce(encode(data))


def announce(data: object, *, using: str = DEFAULT_CHANNEL_LAYER) -> None:
    """Do what `aannounce` does, from synchronous code."""
    sharded_layer(using).announce_sync(encode(data))
