"""Who is in a room, connection by connection, as the workers that have them say.

Presence counts people and knows who is where exactly; this says what presence does not keep. It
asks the workers that have members of the room, so it takes as long as the slowest, within limits.
"""

from __future__ import annotations

from dataclasses import dataclass

from asgiref.sync import async_to_sync
from channels import DEFAULT_CHANNEL_LAYER

from realtime.clients.client_facts import ClientFacts, read_described
from realtime.conf import conf
from realtime.nodes.node_orders import close_order
from realtime.rooms.room_names import NODES_ROOM, require_room_name
from realtime.sharded_layer import sharded_layer
from shardlayer import is_client_name, stall_tolerant_timeout

ANSWER_TIME = 1.0  # seconds that a worker has to answer, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomMember:
    """One connection in a room.

    Attributes:
        node: The id of its worker.
        facts: What that one says of it.
    """

    node: str
    facts: ClientFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomMembers:
    """The connections in a room, as far as it is known.

    Attributes:
        members: Those that came first on each worker, at most `FACTS_TOLD` of each; by worker.
        total: How many there are on the workers that answered.
        silent: The workers that have members and did not say of whom: their members are unknown.
        why: Why nothing is known at all, in a sentence; empty if something is.
    """

    members: tuple[RoomMember, ...] = ()
    total: int = 0
    silent: tuple[str, ...] = ()
    why: str = ""


async def aroom_members(
    room: str, *, limit: int = 100, using: str = DEFAULT_CHANNEL_LAYER
) -> RoomMembers:
    """Return the connections in a room: who it is, from where, since when, and what waits for them.

    Args:
        room: The room's name.
        limit: Connections at most.
        using: The alias of the channel layer.

    Raises:
        ValueError: The room's name breaks the rules.
        ShardUnavailable: The room's server does not answer.
    """
    require_room_name(room)
    within = min(ANSWER_TIME, conf().check_timeout)
    try:
        async with stall_tolerant_timeout(2 * within):
            answers = await sharded_layer(using).room_answers(room, within=within)
    except TimeoutError:
        return RoomMembers(why=f"There was no answer within {2 * within:g} s.")
    members: list[RoomMember] = []
    silent: list[str] = []
    total = 0
    for node, body in sorted(answers.items()):
        said = None if body is None else read_described(body)
        if said is None:
            silent.append(str(node))
            continue
        total += said[0]
        members += (RoomMember(node=str(node), facts=facts) for facts in said[1])
    return RoomMembers(members=tuple(members[:limit]), total=total, silent=tuple(silent))


async def adisconnect_client(client: str, *, by: str, using: str = DEFAULT_CHANNEL_LAYER) -> None:
    """Close one connection with 4002, whoever is on it, by its id (`ClientFacts.client`).

    All workers are told, and the one that has it closes it. The client may come back at once.
    Nobody says whether there was such a connection. Returns once Redis has taken the order.

    Args:
        client: The connection's id.
        by: Who orders it, for the worker's log.
        using: The alias of the channel layer.

    Raises:
        ValueError: That is no id of a connection.
        ShardUnavailable: Redis did not take it in time; it may or may not be closed.
    """
    if not is_client_name(client):
        raise ValueError(f"{client!r:.100} is not the id of a connection, which has 16 characters.")
    await sharded_layer(using).publish_reserved(NODES_ROOM, close_order(client, by))


room_members = async_to_sync(aroom_members)
disconnect_client = async_to_sync(adisconnect_client)
