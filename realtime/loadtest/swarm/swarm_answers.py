"""What the server answers to a swarm's commands, and says beside publications."""

from __future__ import annotations

from typing import Any, Final

import orjson

from realtime.loadtest.swarm.delivery_check import DeliveryCheck
from realtime.loadtest.swarm.load_connection import Lost
from realtime.loadtest.swarm.load_person import LoadPerson

_MOVE: Final = 1 << 20  # ids of moves begin here


class SwarmAnswers:
    """Reads JSON, so it is for what comes seldom.

    Args:
        check: Who checks publications.
    """

    def __init__(self, check: DeliveryCheck) -> None:
        self._check = check
        self._index = {name: at for at, (name, _) in enumerate(check.rooms)}

    def take(self, person: LoadPerson, text: bytes) -> None:
        """Take a message that is no publication.

        Raises:
            Lost: The server refuses what the client needs.
        """
        message: dict[str, Any] = orjson.loads(text)
        if "id" in message:
            self._take_answer(person, message)
        elif "reconnect" in message:
            person.wait = message["reconnect"]["after_ms"] / 1000
        elif "reset" in message and message.get("room") in self._index:
            where = message["reset"]
            person.positions[self._index[message["room"]]] = where["offset"], where["epoch"]
        elif "unsubscribed" in message and message.get("room") in self._index:
            self._left(person, self._index[message["room"]])

    def _take_answer(self, person: LoadPerson, message: dict[str, Any]) -> None:
        error = message.get("error")
        if error is not None:
            raise Lost(f"refused: {error['code']}")
        if "connected" in message:
            person.node = message["connected"]["node"]
        for told in message.get("subscribed", ()):
            self._joined(person, told)
        if "unsubscribed" in message:
            self._left(person, self._index[message["unsubscribed"]["room"]])
        if message["id"]:
            person.waits_for -= 1
            person.is_ready = person.is_ready or not person.waits_for

    def _joined(self, person: LoadPerson, told: dict[str, Any]) -> None:
        if "error" in told:
            raise Lost(f"refused: {told['error']['code']}")
        room = self._index[told["room"]]
        self._check.joined(person, room, told.get("offset"), told.get("epoch", ""))
        for publication in told.get("publications", ()):
            self._check.take_recovered(person, room, publication.get("data"))
        if self._check.keeps_positions and "offset" in told:
            person.positions[room] = told["offset"], told["epoch"]

    @staticmethod
    def _left(person: LoadPerson, room: int) -> None:
        person.expected.pop(room, None)
        person.cells.pop(room, None)
        person.positions.pop(room, None)

    def moves(self, person: LoadPerson, leaving: list[int], joining: list[int]) -> list[bytes]:
        """Return the commands with which a client leaves rooms and joins others."""
        commands = []
        for room in leaving:
            name = self._check.rooms[room][0]
            commands.append({"id": _MOVE, "unsubscribe": {"room": name}})
        if joining:
            wishes = [person.wish(room, self._check.rooms) for room in joining]
            commands.append({"id": _MOVE + 1, "subscribe": wishes})
        person.waits_for += len(commands)
        person.rooms = [room for room in person.rooms if room not in leaving] + joining
        return [orjson.dumps(command) for command in commands]
