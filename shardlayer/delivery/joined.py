"""A membership that has begun: what its member is told first, and how it reads on to the present.

A room's answer is a page of its history. A member that missed more reads on, page after page, each
after its client has read the one before. Meanwhile its gate skips what is pushed, since that comes
with a later page; only while a page is asked for that may be the last does the gate hold it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shardlayer.broker.values import JoinReply
from shardlayer.core.frames import Broadcast, joined
from shardlayer.core.pushes import encode_replayed, encode_reset
from shardlayer.core.types import Position, Publication
from shardlayer.delivery.gate import Gate


@dataclass(slots=True, kw_only=True)
class Joined:
    """A membership that has begun, held until `release`.

    Attributes:
        room: The room's name.
        position: Where the member is, `publications` included; None if no history is kept.
        recovered: Whether nothing is missing between the position it asked for and this one.
        publications: What it missed, as far as the history still holds it, in order: a page.
    """

    room: str
    position: Position | None
    gate: Gate
    recovered: bool = False
    publications: list[Publication] = field(default_factory=list)
    _has_more: bool = False

    @classmethod
    def after(cls, reply: JoinReply, room: str, gate: Gate) -> Joined:
        """Return a membership that begins with a page of what was missed.

        If that is gone, and the room keeps its newest publication, it begins with that one.
        """
        publications = reply.publications
        if reply.newest is not None and not publications and not reply.recovered:
            publications = [reply.newest]
        made = cls(
            room=room,
            position=reply.reached,
            gate=gate,
            recovered=reply.recovered,
            publications=publications,
        )
        made._reach(reply)
        return made

    @property
    def is_behind(self) -> bool:
        """Whether the member has to read on before it can be released, see `Node.read_on`."""
        return self._has_more or self.gate.skips

    def release(self) -> None:
        """Let pushes through. Call it right after writing the reply, with no await between.

        Raises:
            RuntimeError: If the member is behind: it would miss what is between.
        """
        if self.is_behind:
            raise RuntimeError(f"A member of {self.room} is released before it has read on.")
        self.gate.open(self.position)

    # What the node calls.

    def ask(self) -> None:
        """Hold what is pushed from now on: the page that is asked for may be the last."""
        self.gate.hold()
        self._has_more = True

    def fail(self) -> None:
        """Skip again: the page did not come."""
        self.gate.skip()

    def go_on(self, reply: JoinReply, limit: int, max_text: int) -> list[Broadcast]:
        """Return a page as pushes, of which up to `limit` bytes are joined into one write.

        One of more than `max_text` bytes can't be sent: a reset stands in its place. 0: any can.
        """
        entries: list[tuple[bytes, int]] = []
        epoch = reply.position.epoch if reply.position is not None else ""
        if epoch and not reply.recovered:
            entries.append((encode_reset(self.room, Position(reply.start, epoch)), 0))
        for item in reply.publications:
            push = encode_replayed(item)
            if 0 < max_text < len(push):
                entries.append((encode_reset(self.room, Position(item.offset, epoch)), 0))
            else:
                entries.append((push, item.offset))
        self._reach(reply)
        return list(joined(entries, limit)) if entries else []

    def end(self) -> None:
        """Read no more: the member has left."""
        self.gate.hold()
        self._has_more = False

    def _reach(self, reply: JoinReply) -> None:
        self.position = reply.reached
        self._has_more = reply.reached != reply.position
        if self._has_more:
            self.gate.skip()
