"""One room as a client follows it across connections: what it hands on, each once and in order.

Pure: docs/protocol.md, "Recovery", as functions of values. clients/js/src/recovery.js is the same
for browsers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from shardlayer.core.types import Position

LEAP: Final = 2**40  # a count goes on by a multiple of it where the server may have lost a part

Push = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomMessage:
    """A publication, as a loop over a room gets it.

    Attributes:
        room: Where it was published.
        data: What was published.
        offset: Its number in the room; None in a room that keeps no history.
        replayed: It comes from the room's history, and was not pushed as it happened.
    """

    room: str
    data: Any
    offset: int | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomGap:
    """Publications may be missing, and nobody can bring them back.

    Attributes:
        room: Where.
        since: The last position before the gap; None in a room that keeps no history.
        position: Where the client continues; None in a room that keeps no history.
        missed: How many are missing; None where that is not known.
    """

    room: str
    since: Position | None
    position: Position | None
    missed: int | None


Step = tuple[RoomMessage | RoomGap, Position | None]  # and where the client stands after it


class Following(Enum):
    """How a client stands to a room."""

    AWAY = "the server has to be asked; what it pushes meanwhile comes again"
    ASKED = "what is pushed waits for the reply"
    JOINED = "what is pushed is handed on"


class FollowedRoom:
    """Puts replies and pushes into one sequence.

    Args:
        name: The room's.
        since: Where to begin; None is now.
        most_held: So many pushes may wait for a reply. What comes beyond is asked for again.

    Attributes:
        position: Where the client stands; None before the first reply, and without history.
    """

    def __init__(self, name: str, since: Position | None, *, most_held: int) -> None:
        self.name = name
        self.position = since
        self.state = Following.AWAY
        self._most_held = most_held
        # Whoever was here before, or names a place, is told of what is missing.
        self._expects_all = since is not None and since.epoch != ""
        self._held: list[Push] = []
        self._is_short = False  # some of what should be held is not

    def leave_off(self) -> None:
        """The connection is gone, or the reader is behind: ask again, from the position."""
        self.state = Following.AWAY
        self._held = []
        self._is_short = False

    def ask(self) -> dict[str, Any]:
        """Return what to ask the server for; from now on pushes wait for the reply."""
        self.state = Following.ASKED
        return {"room": self.name} | (self.position._asdict() if self.position else {})

    def accept(self, reply: Mapping[str, Any]) -> list[Step]:
        """Return what the reply brings, and what was pushed before it.

        The room is AWAY afterwards if the server has to be asked again.
        """
        if self.state is not Following.ASKED:
            return []
        since, held, is_short = self.position, self._held, self._is_short
        self.state, self._held, self._is_short = Following.JOINED, [], False
        expects_all, self._expects_all = self._expects_all, True
        if "offset" not in reply:  # it keeps no history: who was away can't know
            self.position = None
            messages = [self._message(push, replayed=False) for push in held]
            return self._steps(messages, since, is_gap=expects_all or is_short)
        at = since.offset if since and since.epoch == reply["epoch"] else 0
        is_gap = since is None or not reply["recovered"]
        messages = []
        for publication in sorted(reply.get("publications", ()), key=lambda each: each["offset"]):
            if publication["offset"] > at:
                at = publication["offset"]
                messages.append(self._message(publication, replayed=True))
        at = max(at, reply["offset"])
        for push in held:
            if push.get("offset", 0) > at:
                # Asked once already: a hole that is still there stays, and is owned up to.
                is_gap = is_gap or not follows(at, push)
                at = push["offset"]
                if "data" in push:
                    messages.append(self._message(push, replayed=push.get("replayed", False)))
        self.position = Position(at, reply["epoch"])
        if is_short:
            self.state = Following.AWAY
        return self._steps(messages, since, is_gap=is_gap and expects_all)

    def push(self, push: Push) -> list[Step]:
        """Return what a push brings; the room is AWAY if the server has to be asked first."""
        if self.state is Following.ASKED:
            if len(self._held) < self._most_held:
                self._held.append(push)
            else:
                self._is_short = True
        if self.state is not Following.JOINED:
            return []
        if self.position is not None and "offset" in push:
            offset = push["offset"]
            if push.get("replayed") and offset <= self.position.offset:
                return []
            if not follows(self.position.offset, push):
                self.leave_off()
                self._held = [push]
                return []
            self.position = self.position._replace(offset=offset)
        if "data" not in push:  # not for this client, which caused it
            return []
        return [(self._message(push, replayed=push.get("replayed", False)), self.position)]

    def reset(self, position: Mapping[str, Any]) -> list[Step]:
        """Go on from where the server says, which lost track itself."""
        self._held = []  # numbered before the reset
        if self.state is not Following.JOINED:
            return []  # the reply will say it
        since = self.position
        self.position = Position(position["offset"], position["epoch"])
        return self._steps([], since, is_gap=True)

    def _steps(
        self, messages: list[RoomMessage], since: Position | None, *, is_gap: bool
    ) -> list[Step]:
        """Return the messages, each with its position, behind the gap if there is one."""
        steps: list[Step] = []
        if is_gap:
            count = None
            if since is not None and self.position is not None:
                count = count_between(since, self.position)
            missed = None if count is None else max(0, count - len(messages))
            gap = RoomGap(room=self.name, since=since, position=self.position, missed=missed)
            # Whoever stops right behind the gap still has the messages before them.
            steps.append((gap, self.position if not messages else since))
        for message in messages:
            position = self.position
            if position is not None and message.offset is not None:
                position = position._replace(offset=message.offset)
            steps.append((message, position))
        return steps

    def _message(self, said: Mapping[str, Any], *, replayed: bool) -> RoomMessage:
        return RoomMessage(
            room=self.name, data=said["data"], offset=said.get("offset"), replayed=replayed
        )


def follows(last: int, push: Push) -> bool:
    """Say whether nothing that this client needs lies between an offset and a push."""
    offset = push["offset"]
    if "after" in push:
        return bool(push["after"] <= last < offset)
    return bool(offset > last and offset % LEAP == last % LEAP + 1)


def count_between(since: Position, position: Position) -> int | None:
    """Return how many publications lie behind one position, up to another; None if unknown."""
    count = position.offset - since.offset
    is_same_count = since.epoch == position.epoch and (
        count == position.offset % LEAP - since.offset % LEAP
    )
    return count if is_same_count else None
