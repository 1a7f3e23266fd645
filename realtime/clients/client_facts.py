"""What a worker tells of its clients in a room: to the admin's page of the room, and to a command.

It is not stored. The nodes that have members of the room are asked, so it costs nothing while
nobody wants to know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, Protocol, cast

import orjson

from shardlayer import Sink

FACTS_TOLD = 100  # clients of a room that a node tells of


class ClientFacts(NamedTuple):
    """One client, as its worker knows it.

    Attributes:
        client: The connection's id.
        user: The primary key of its user, as text; None if nobody is signed in, or nobody had to
            ask yet who that is.
        address: Its IP address; None if the server does not say.
        since: When it connected, in Unix seconds.
        waiting: Bytes that were written to it and that it has not taken yet.
    """

    client: str
    user: str | None
    address: str | None
    since: float
    waiting: int


class _Described(Protocol):
    def describe(self) -> ClientFacts: ...


def described_members(room: str, sinks: Collection[Sink]) -> bytes:
    """Return what a node says of a room's members: those that joined first, and how many."""
    told: list[ClientFacts] = []
    for sink in sinks:
        client = getattr(sink, "client", None)
        if client is not None:
            told.append(cast(_Described, client).describe())
            if len(told) == FACTS_TOLD:
                break
    return orjson.dumps({"count": len(sinks), "clients": [list(each) for each in told]})


def read_described(body: bytes) -> tuple[int, list[ClientFacts]] | None:
    """Return how many members a node says it has, and what it tells of the first of them.

    None if it is not said so; what can't be read of a client of another release is left out.
    """
    try:
        said = orjson.loads(body)
        return int(said["count"]), list(_read(said["clients"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


def _read(clients: list[Any]) -> Iterator[ClientFacts]:
    for client, user, address, since, waiting, *_ in clients:
        yield ClientFacts(
            client=str(client),
            user=None if user is None else str(user),
            address=None if address is None else str(address),
            since=float(since),
            waiting=int(waiting),
        )
