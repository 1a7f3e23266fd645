"""One room as one client follows it across connections: what client.js does, in Python; pure.

See subscription.js and recovery.js beside it, and "Recovery" in docs/protocol.md.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

TOLD: Final = object()


LEAP = 2**40  # by a multiple of which a count goes on that a server may have lost a part of


def follows(last: int, offset: int) -> bool:
    """Tell whether nothing lies between two offsets of one epoch."""
    return offset > last and offset % LEAP == last % LEAP + 1


class Position(NamedTuple):
    """Where a client stands in a room."""

    offset: int
    epoch: str


class Following:
    """Puts replies and pushes of a room with history into one sequence.

    Attributes:
        room: Its name.
        joined: Whether pushes are handed on as they come; they are held until a reply else.
        refusals: How often the server refused it in passing since it was joined.
    """

    __slots__ = ("_held", "_position", "joined", "refusals", "room")

    def __init__(self, room: str) -> None:
        self.room = room
        self.joined = False
        self.refusals = 0
        self._position: Position | None = None
        self._held: list[dict[str, Any]] = []

    @property
    def request(self) -> dict[str, Any]:
        """What to ask the server for."""
        if self._position is None:
            return {"room": self.room}
        return {"room": self.room, **self._position._asdict()}

    @property
    def positioned(self) -> bool:
        """Whether it has been subscribed once, so that nothing may be missed from then on."""
        return self._position is not None

    def hold(self) -> None:
        """Hold pushes from now on until `accept`."""
        self.joined = False
        self._held = []

    def accept(self, reply: dict[str, Any]) -> list[Any]:
        """Return what the server's reply and the pushes held since bring, in order.

        TOLD stands where the user is told that something may be missing before what follows.
        """
        self.refusals = 0
        since = self._position
        seen = since.offset if since is not None and since.epoch == reply["epoch"] else 0
        brought: list[Any] = [] if since is None or reply["recovered"] else [TOLD]
        for publication in reply.get("publications", ()):
            if publication["offset"] > seen:
                seen = publication["offset"]
                brought.append(publication["data"])
        seen = max(seen, reply["offset"])
        for push in self._held:
            if push["offset"] > seen:
                if not follows(
                    seen, push["offset"]
                ):  # asked once already: a hole that stays is owned up
                    brought.append(TOLD)
                seen = push["offset"]
                brought.append(push["data"])
        self._held = []
        self._position = Position(seen, reply["epoch"])
        self.joined = True
        return brought

    def push(self, push: dict[str, Any]) -> bool:
        """Return whether a push's data may be handed on.

        If it may not, it is held; when `joined` was true before, the server must be asked again.
        """
        if self._position is None or not self.joined:
            self._held.append(push)
            return False
        if not follows(self._position.offset, push["offset"]):
            self.hold()
            self._held.append(push)
            return False
        self._position = Position(push["offset"], self._position.epoch)
        return True

    def reset(self, position: dict[str, Any]) -> bool:
        """Take a reset; return whether the client is told by it (else a reply will tell)."""
        self._held = []
        if not self.joined:
            return False
        self._position = Position(position["offset"], position["epoch"])
        return True
