"""Publishing, from anywhere in Django: to a room, to many, to a user, to everybody.

from realtime import announce, apublish, publish, publish_many, publish_to_user
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from channels import DEFAULT_CHANNEL_LAYER

from realtime.access.anonymous import User
from realtime.access.users import user_room
from realtime.client_header import require_client_id
from realtime.json_values import encode
from realtime.rooms.room_names import require_open_room
from realtime.sharded_layer import sharded_layer
from realtime.twins import LayerCall, twins
from shardlayer import Position

__all__ = [
    "aannounce",
    "announce",
    "apublish",
    "apublish_many",
    "apublish_to_user",
    "publish",
    "publish_many",
    "publish_to_user",
]


def _publish(
    room: str,
    data: object,
    *,
    exclude: str | None = None,
    idempotency_key: str | None = None,
    using: str = DEFAULT_CHANNEL_LAYER,
) -> LayerCall[Position | None]:
    """Publish `data` to everybody in `room`, and return once Redis has it.

    The data are written as JSON once, by `realtime.json_values.encode`. If a caller waits for each
    call before the next, its publications to one room arrive in order.

    Args:
        room: 1 to 99 ASCII letters, digits, hyphens, underscores and periods.
        data: A value with a JSON form.
        exclude: The client that does not get it, usually the one whose request this is: see
            `client_of`. None: all get it. When that client comes back and reads what it missed, it
            gets this as well.
        idempotency_key: Names this publication, in 1 to 128 characters. A second call with the same
            key and room within `idempotency_ttl` (5 minutes) publishes nothing, and returns the
            position of the first. So a caller may try again after ShardUnavailable, or run twice.
            An empty key is refused, because a field may have been left empty by mistake.
        using: The alias of the channel layer.

    Returns:
        The publication's position; None in a room that keeps no history.

    Raises:
        ValueError: The room's name breaks the rules, the room is the workers' own (access.md), or
            `exclude` is no client's id.
        TypeError: The data have no JSON form, or the key is no key.
        MessageTooLarge: Their JSON is larger than the layer takes.
        ShardUnavailable: Redis did not answer in time; it may or may not have it.
    """
    require_open_room(room)
    left_out, layer, encoded = require_client_id(exclude), sharded_layer(using), encode(data)
    return LayerCall(
        layer,
        lambda: layer.publish(room, encoded, idempotency_key=idempotency_key, exclude=left_out),
    )


def _publish_many(
    items: Iterable[tuple[str, object]] | Mapping[str, object],
    *,
    exclude: str | None = None,
    using: str = DEFAULT_CHANNEL_LAYER,
) -> LayerCall[list[Position | None]]:
    """Publish to several rooms in one call, and return once Redis has all of it.

    It costs about what one publication costs, for each of Redis's servers. If one fails, the
    others are still published; but if one of the items is wrong, nothing is sent. They are not one
    transaction: a client may see one before another is published.

    Args:
        items: Pairs of a room and its data, such as `[("a", 1), ("b", 2)]`, or a dictionary. A
            room may come several times; what goes to it keeps its order. Data that are the same
            object for several rooms are encoded once.
        exclude: As `publish` takes it, for all of them.
        using: The alias of the channel layer.

    Returns:
        The position of each, in the order of the items; None in a room that keeps no history.

    Raises:
        ValueError: As in `publish`.
        TypeError: The items are no pairs, or as in `publish`.
        MessageTooLarge: As in `publish`.
        ShardUnavailable: A server did not answer in time; it may or may not have its part.
    """
    left_out, layer = require_client_id(exclude), sharded_layer(using)
    encoded: dict[int, tuple[object, bytes]] = {}  # by identity; kept, so that none is reused
    outgoing: list[tuple[str, bytes]] = []
    for item in items.items() if isinstance(items, Mapping) else items:
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise TypeError(f"publish_many takes pairs of a room and its data, not {item!r:.200}.")
        room, data = item
        require_open_room(room)
        if id(data) not in encoded:
            encoded[id(data)] = data, encode(data)
        outgoing.append((room, encoded[id(data)][1]))
    return LayerCall(layer, partial(layer.publish_many, outgoing, exclude=left_out))


def _publish_to_user(
    user: User | object,
    data: object,
    *,
    exclude: str | None = None,
    idempotency_key: str | None = None,
    using: str = DEFAULT_CHANNEL_LAYER,
) -> LayerCall[Position | None]:
    """Publish `data` to a user's own room, and so to all of their devices.

    `user` is a user, or the primary key of one, which is not looked up. Takes, returns and raises
    what `publish` does. With `exclude` the other devices of the sender get it.

    Raises:
        ValueError: The user is anonymous or not saved, or it is no primary key.
    """
    room = user_room(user)
    return _publish(room, data, exclude=exclude, idempotency_key=idempotency_key, using=using)


def _announce(data: object, *, using: str = DEFAULT_CHANNEL_LAYER) -> LayerCall[None]:
    """Announce `data` to every client that is connected now, whichever rooms it is in.

    Returns once Redis has it. It is not kept: each client gets it once, or not at all if its
    worker can't hear Redis at the moment.

    Raises:
        TypeError: The data have no JSON form.
        MessageTooLarge: Their JSON is larger than the layer takes.
        ShardUnavailable: Redis did not answer in time; it may or may not have been announced.
    """
    layer = sharded_layer(using)
    return LayerCall(layer, partial(layer.announce, encode(data)))


publish, apublish = twins(_publish)
publish_many, apublish_many = twins(_publish_many)
publish_to_user, apublish_to_user = twins(_publish_to_user)
announce, aannounce = twins(_announce)
