"""A server that says what a test wants: for what a real one does rarely, or never yet."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, WebSocketRoute

Answer = Callable[["ScriptedServer", dict[str, Any]], Any]


class ScriptedServer:
    """Takes the WebSocket's place in a page, inside the browser; `answer` gets each command.

    Attributes:
        commands: What the client sent, over all connections, without pings and asking for notes.
        note: What it gets when it asks for a note, as `note` and `renew`; None: nothing.
        notes: How many it got.
        connections: How often it connected.
    """

    def __init__(self, page: Page, answer: Answer) -> None:
        self.commands: list[dict[str, Any]] = []
        self.connections = 0
        self.note: dict[str, Any] | None = None
        self.notes = 0
        self._answer = answer
        self._socket: WebSocketRoute | None = None
        page.route_web_socket("**/ws/", self._connected)

    def say(self, **message: Any) -> None:
        """Send a message on the present connection."""
        assert self._socket is not None
        self._socket.send(json.dumps(message))

    def close(self, code: int) -> None:
        """Close the present connection."""
        assert self._socket is not None
        self._socket.close(code=code, reason="scripted")

    def _connected(self, socket: WebSocketRoute) -> None:
        self.connections += 1
        self._socket = socket
        socket.on_message(self._received)

    def _received(self, text: str | bytes) -> None:
        command = json.loads(text)
        if "ping" in command:
            self.say(id=command["id"], pong={})
            return
        if "note" in command:
            if self.note is not None:
                self.notes += 1
                self.say(id=command["id"], note=self.note)
            return
        self.commands.append(command)
        self._answer(self, command)


def subscribed(offset: int, *publications: int, recovered: bool = True, epoch: str = "e") -> Any:
    """Return an item of a reply to subscribe, of the room r."""
    return {
        "room": "r",
        "offset": offset,
        "epoch": epoch,
        "recovered": recovered,
        "publications": [{"offset": each, "data": each} for each in publications],
    }


def refuse(server: ScriptedServer, command: dict[str, Any]) -> None:
    """Refuse each room of a subscribe."""
    error = {"code": "forbidden", "message": "Not yours."}
    items = [{"room": each["room"], "error": error} for each in command["subscribe"]]
    server.say(id=command["id"], subscribed=items)
