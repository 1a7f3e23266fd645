"""Who is in a room: the values of a broker's role `Presence`, the same for every broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from shardlayer.core.types import NodeId

MAX_PERSON = 255  # bytes of UTF-8 that name a person
MAX_INFO = 4_096  # bytes that a connection carries
MAX_LISTED = 16  # connections of one person whose infos a page has
LEASE_MARGIN = 0.05  # of a lease: so long before its end it counts as over, see `Presence`
ROLL_PAGE = 200  # entries that one call reads or changes, some 2 ms of Redis


class Attendee(NamedTuple):
    """One connection of a person to a room.

    Attributes:
        room: The room.
        person: Names the person among all of the layer: 1 to 255 bytes of UTF-8 without NUL.
        connection: Names the connection among those of its node: ASCII letters and digits.
        info: What it carries: bytes that nobody here looks into.
        told: Whether the nodes of the room are told when its person comes and goes.
    """

    room: str
    person: str
    connection: str
    info: bytes = b""
    told: bool = True


class Announcement(NamedTuple):
    """What one call tells a shard of a node's people.

    Attributes:
        node: The node.
        number: One more than that of the node's announcement before it, on this shard; from 1. It
            is repeated only to repeat the announcement.
        came: Who is there from now on. Who was there already stays, and nothing changes.
        went: Who is not. These are taken after `came`, so that who reconnects never goes.
    """

    node: NodeId
    number: int
    came: Sequence[Attendee] = ()
    went: Sequence[Attendee] = ()


class Announced(NamedTuple):
    """What became of an announcement.

    Attributes:
        known: Whether the shard has all that the node announced before. If not, it has been lost
            or cleared, and the node compares (`Presence.roll`) and announces what is missing.
        turned: Rooms that somebody is in now and nobody was before (True), or the other way round.
    """

    known: bool
    turned: Mapping[str, bool]


class Watch(NamedTuple):
    """The state of a shard's nodes that have people there.

    Attributes:
        known: Whether the shard has what the asking node announced last.
        gone: Nodes whose lease has ended: their people may be cleared.
        ends_in: Seconds until the next lease ends, unless it is renewed; None without nodes.
        miscounted: Whether rooms may have wrong counts, since somebody else removed something. A
            node that announces all again has its rooms counted anew (`Presence.recount`).
    """

    known: bool
    gone: Sequence[NodeId]
    ends_in: float | None
    miscounted: bool = False


class Person(NamedTuple):
    """A person in a room.

    Attributes:
        name: As in `Attendee.person`.
        connections: How many they have there, on all nodes.
        infos: What these carry, at most `MAX_LISTED` of each node.
    """

    name: str
    connections: int
    infos: Sequence[bytes]


class PresencePage(NamedTuple):
    """Who is in a room, or a part of them.

    Attributes:
        people: How many people are in the room, exactly.
        connections: How many connections they have.
        persons: Some of them, in the order of their names' bytes.
        more: Whether others follow the last of these.
        gone: Nodes that still count and whose lease has ended: clear them and ask again.
    """

    people: int
    connections: int
    persons: Sequence[Person]
    more: bool
    gone: Sequence[NodeId] = ()
