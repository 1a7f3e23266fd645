"""Whether a room has place for one more member, and the process for one more room."""

from __future__ import annotations

from collections.abc import Callable

from realtime.clients.client_counters import counters
from realtime.clients.protocol.commands import ProtocolError
from realtime.clients.user_limits import Publisher, UserLimits
from realtime.conf import Conf
from shardlayer import Node


def _check_place(node: Node, room: str, conf: Conf) -> None:
    """Raise ProtocolError, `full`, if nobody else may join a room here now."""
    members = node.members(room)
    if 0 < conf.max_room_members <= members:
        counters.rooms_full += 1
        raise ProtocolError("full", "The room is full; try again later.")
    if not members and 0 < conf.max_node_rooms <= node.rooms():
        counters.nodes_full += 1
        raise ProtocolError("full", "The server has no place for another room; try again later.")


def take_place(
    node: Node, limits: UserLimits, room: str, count_as: Callable[[], Publisher | None], conf: Conf
) -> Publisher | None:
    """Count one more client in a room here; return who has paid for a new room, None if nobody.

    Whoever did calls `limits.rooms.leave(room)` once. A room that the node still knows is not new:
    say one that a stream of events left a moment ago, to be opened anew with one room more.

    Args:
        node: That of the client.
        limits: Those of the process.
        room: Its name; the client is not in it.
        count_as: Returns whom the client counts as; not asked where the room is here already.
        conf: The settings.

    Raises:
        ProtocolError: `full`: there is no place. `rate` or `full`: whom the client counts as can't
            bring another room here.
    """
    _check_place(node, room, conf)
    if room in limits.rooms:
        limits.rooms.enter(room, None)
        return None
    publisher = count_as()
    payer = None if node.knows(room) else publisher
    if not limits.take_new_room(payer):
        raise too_many_new_of_user(conf)
    if not limits.rooms.enter(room, publisher):
        limits.give_back_new_room(payer)
        counters.users_rooms_full += 1
        raise ProtocolError("full", "The server has no place for more rooms of yours; try again.")
    return payer


def too_many_new_of_user(conf: Conf) -> ProtocolError:
    """Return what a client is told whose user, or address, takes on too many new rooms."""
    most = conf.max_user_new_rooms
    return ProtocolError("rate", f"A user may use {most:g} new rooms a second at most.")
