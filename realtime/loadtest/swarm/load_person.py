"""One client of a load test, over all of its connections."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from realtime.loadtest.delay_histogram import DelayHistogram
from realtime.loadtest.swarm.load_connection import LoadConnection

UNKNOWN: Final = -1  # the number that comes next in a room without history, at first
_MOST_ROOMS: Final = 100  # that one command names


@dataclass(slots=True)
class LoadCell:
    """What the clients of one node got of one shard since the last report.

    Attributes:
        delays: Nanoseconds that each publication took, of those that came as they were published.
        missed: Publications that were missed: something later came first.
    """

    delays: array[int] = field(default_factory=lambda: array("q"))
    missed: int = 0

    def report(self) -> dict[str, Any]:
        """Return the figures, and begin anew."""
        delays = DelayHistogram()
        delays.take(self.delays)
        told = {"delays": delays.as_json(), "missed": self.missed}
        self.delays = array("q")
        self.missed = 0
        return told


class LoadPerson:
    """A client: its rooms, and how far it has come in each.

    Args:
        number: Which of the test's clients it is.
        rooms: The indexes of its rooms.
        token: What signs it in; empty: nothing.
        source: The address that it comes from; empty: any.

    Attributes:
        connection: The WebSocket; None: it has none now.
        node: Where it is connected; None until the server said so.
        is_ready: Whether it is subscribed to all of its rooms.
        waits_for: Answers that it waits for until it is ready.
        began: When it began to connect, in seconds of the monotonic clock.
        opened: When the WebSocket was there.
        expected: For each room that it is in, the number that must come next.
        cells: For each such room, where its deliveries are counted.
        positions: For each room with history, the offset and the epoch that it has.
        gaps: (room, first, end) of what it has not got though something later came.
        attempts: Connections in a row that failed.
        wait: Seconds that the server told it to wait before the next connection; None: it did not.
        ordered_off: Whether it left because it was told to.
    """

    __slots__ = (
        "attempts",
        "began",
        "cells",
        "connection",
        "expected",
        "gaps",
        "is_ready",
        "node",
        "number",
        "opened",
        "ordered_off",
        "positions",
        "rooms",
        "source",
        "token",
        "wait",
        "waits_for",
    )

    def __init__(self, number: int, rooms: list[int], token: str, source: str) -> None:
        self.number = number
        self.rooms = rooms
        self.token = token
        self.source = source
        self.connection: LoadConnection | None = None
        self.node: str | None = None
        self.is_ready = False
        self.waits_for = 0
        self.began = self.opened = 0.0
        self.expected: dict[int, int] = {}
        self.cells: dict[int, LoadCell] = {}
        self.positions: dict[int, tuple[int, str]] = {}
        self.gaps: list[tuple[int, int, int]] = []
        self.attempts = 0
        self.wait: float | None = None
        self.ordered_off = False

    def greeting(self, rooms: list[tuple[str, str]]) -> list[bytes]:
        """Return the commands that sign it in and subscribe it, each with an id above 0.

        Args:
            rooms: The name and the token of each of the test's rooms.
        """
        connect = {"token": self.token} if self.token else {}
        commands = [orjson.dumps({"id": 1, "connect": connect})]
        for at in range(0, len(self.rooms), _MOST_ROOMS):
            part = [self.wish(room, rooms) for room in self.rooms[at : at + _MOST_ROOMS]]
            commands.append(orjson.dumps({"id": len(commands) + 1, "subscribe": part}))
        self.waits_for = len(commands)
        return commands

    def wish(self, room: int, rooms: list[tuple[str, str]]) -> dict[str, Any]:
        """Return what `subscribe` takes for a room: with the position that it has there."""
        name, token = rooms[room]
        wish: dict[str, Any] = {"room": name}
        if token:
            wish["token"] = token
        if room in self.positions:
            wish["offset"], wish["epoch"] = self.positions[room]
        return wish
