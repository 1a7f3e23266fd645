"""One group in one node, and the states that it goes through.

The members of a room are written one numbered line of publications. A node hears that line over a
connection that may end, from a server that may restart, so now and then it can't know whether it
heard all of it. It then asks the room's shard, and what it hears meanwhile waits. A room's state
says how far that is:

    NEW        Nobody was asked yet. What is heard is from before the first member's answer.
    ENTERING   The shard is asked for the first time: for the room's place in the line, and to
               tell the node of what is published. What is heard is held back.
    ADMITTED   The answer is here and waits until it is written. What is heard is held back.
    LIVE       The members are written what is heard. Only this state looks at offsets.
    HEALING    Something may have been missed. The shard is asked for what follows the members'
               position. What is heard is held back.
    FORGOTTEN  Nobody is in the room, and its node is no more registered. The last state.

An answer tells of the moment at which it was given. Something may be missed after that and before
the answer is written. Three states say so, and that another question follows the answer:
ENTERING_AGAIN, HEALING_AGAIN and ADMITTED_AGAIN. The next question is put only when the answer
before it is on its way to the members: it asks from where they then are. So a room has one
question or one answer under way and never two, its answers are written in the order of its
questions, and one reset tells of one loss.

An answer may not hold all that is missing. The room is then ADMITTED_AGAIN, too, and what follows
is the next page.

The states and what moves a room are in `TRANSITIONS`, as in h11's `_state.py`. The room's hub
moves it, and nobody else; a move that is not in the table raises. Whether a member's own reply was
written is no state of the room: see `gate.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from shardlayer.core.types import Position, Publication, Sink
from shardlayer.delivery.special_rooms import SpecialRoom


class State(Enum):
    """How far a room is. The module's docstring says what each means."""

    NEW = auto()
    ENTERING = auto()
    ENTERING_AGAIN = auto()
    ADMITTED = auto()
    ADMITTED_AGAIN = auto()
    LIVE = auto()
    HEALING = auto()
    HEALING_AGAIN = auto()
    FORGOTTEN = auto()


class Event(Enum):
    """What moves a room.

    Attributes:
        ASK: Its first member is here, so its shard is asked.
        FAIL: The shard did not answer the first question in time; the members leave.
        ANSWER: The shard answered.
        WRITE: The answer is on its way to the members.
        DROP: The answer was dropped before it was written, since too much waited.
        MISS: Something may have been missed, or is missing behind the answer.
        FORGET: Nobody is in it any more.
    """

    ASK = auto()
    FAIL = auto()
    ANSWER = auto()
    WRITE = auto()
    DROP = auto()
    MISS = auto()
    FORGET = auto()


TRANSITIONS: Mapping[State, Mapping[Event, State]] = {
    State.NEW: {
        Event.ASK: State.ENTERING,
        Event.MISS: State.NEW,
        Event.FORGET: State.FORGOTTEN,
    },
    State.ENTERING: {
        Event.ANSWER: State.ADMITTED,
        Event.FAIL: State.NEW,
        Event.MISS: State.ENTERING_AGAIN,
    },
    State.ENTERING_AGAIN: {
        Event.ANSWER: State.ADMITTED_AGAIN,
        Event.FAIL: State.NEW,
        Event.MISS: State.ENTERING_AGAIN,
    },
    State.ADMITTED: {
        Event.WRITE: State.LIVE,
        Event.DROP: State.HEALING,
        Event.MISS: State.ADMITTED_AGAIN,
        Event.FORGET: State.FORGOTTEN,
    },
    State.ADMITTED_AGAIN: {
        Event.WRITE: State.HEALING,
        Event.DROP: State.HEALING,
        Event.MISS: State.ADMITTED_AGAIN,
        Event.FORGET: State.FORGOTTEN,
    },
    State.LIVE: {
        Event.MISS: State.HEALING,
        Event.FORGET: State.FORGOTTEN,
    },
    # No room is forgotten while its shard is asked: the answer would register the node again.
    State.HEALING: {
        Event.ANSWER: State.ADMITTED,
        Event.MISS: State.HEALING_AGAIN,
    },
    State.HEALING_AGAIN: {
        Event.ANSWER: State.ADMITTED_AGAIN,
        Event.MISS: State.HEALING_AGAIN,
    },
    State.FORGOTTEN: {},
}

ENTERING = frozenset({State.ENTERING, State.ENTERING_AGAIN})
"""The states in which the first question is under way."""

ASKED = ENTERING | {State.HEALING, State.HEALING_AGAIN}
"""The states in which any question is under way, or is about to be put."""


class IllegalMove(RuntimeError):
    """A room was moved in a way that the table does not have: a fault of this package."""


class Channel(Protocol):
    """A group member that takes Channels messages: a mailbox of the layer."""

    def deliver(self, message: bytes) -> bool:
        """Append a serialized message; False if the channel is full."""


@dataclass(slots=True, eq=False)
class Membership:
    """A channel in a group, by one call that added it.

    Attributes:
        channel: The channel.
        ends: Until when, in the loop's time.
        failed: Whether the call did not come to its end.
    """

    channel: Channel
    ends: float
    failed: bool = False


class LocalRoom:
    """A group with members in this node.

    Attributes:
        name: The group's name.
        sinks: Each member and where it is written: its gate at first, then itself.
        channels: The members that are Channels channels, by their names.
        state: How far it is. Its hub moves it.
        position: Where the room's members are; None if it keeps no history, or is new.
        held: Publications that wait for an answer, in the order in which they were heard.
        asked: How many of these were heard before the last question was put.
        compressing: How many of its sinks take compressed frames.
        special: What it does beside delivering; None for most.
    """

    __slots__ = (
        *("asked", "channels", "compressing", "held", "name", "position", "sinks"),
        *("special", "state"),
    )

    def __init__(self, name: str, special: SpecialRoom | None = None) -> None:
        self.name = name
        self.special = special
        self.sinks: dict[Sink, Sink] = {}
        self.channels: dict[str, Membership] = {}
        self.state = State.NEW
        self.position: Position | None = None
        self.held: list[Publication] = []
        self.asked = 0
        self.compressing = 0

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self.sinks) + len(self.channels)

    def move(self, event: Event) -> State:
        """Go to the state that follows, and return it.

        Raises:
            IllegalMove: If none follows by this event.
        """
        after = TRANSITIONS[self.state].get(event)
        if after is None:
            raise IllegalMove(
                f"{self.name} is {self.state.name}, where {event.name} has no meaning"
            )
        self.state = after
        return after
