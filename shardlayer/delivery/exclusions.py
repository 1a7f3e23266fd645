"""A publication that one member of a room does not get, because it knows already.

Only the node that has this member does anything of it: such a publication is written alone, to all
but that member. A member of a room with history is told the publication's offset instead, or it
would take what comes next for a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from shardlayer.core.frames import Broadcast, joined
from shardlayer.core.pushes import encode_passed
from shardlayer.core.types import Sink
from shardlayer.delivery.room import LocalRoom

Entries = Sequence[tuple[bytes, int]]  # of one room: each push with its offset


class Withheld(Broadcast):
    """One message for all members of a room but one.

    Attributes:
        sink: That member.
        instead: What it is written, if anything.
    """

    __slots__ = ("instead", "sink")

    def __init__(self, text: bytes, offset: int, sink: Sink, instead: Broadcast | None) -> None:
        super().__init__((text,), (offset,))
        self.sink = sink
        self.instead = instead

    def split(
        self, writers: Sequence[Sink], members: Mapping[Sink, Sink]
    ) -> tuple[Sequence[Sink], Sink | None]:
        """Return those of `writers` that are written the message, and who is written `instead`."""
        excluded = members.get(self.sink)
        rest = [writer for writer in writers if writer is not excluded]
        return rest, excluded if len(rest) < len(writers) else None


class Exclusions:
    """Which messages of a round some member does not get.

    Attributes:
        clients: The clients of the node that have a name.
        by_room: Of each such room: the messages by their index, with who does not get it, and the
            offset that it follows.
    """

    __slots__ = ("by_room", "clients")

    def __init__(self, clients: Mapping[str, Sink]) -> None:
        self.clients = clients
        self.by_room: dict[LocalRoom, dict[int, tuple[Sink, int | None]]] = {}

    def note(self, room: LocalRoom, index: int, client: str, after: int | None = None) -> None:
        """Note that a client does not get the message of that index, if it is in the room here.

        `after` is the offset that the message follows, if that is not the one before.
        """
        sink = self.clients.get(client)
        if sink is not None and sink in room.sinks:
            self.by_room.setdefault(room, {})[index] = sink, after

    def broadcasts(self, room: LocalRoom, entries: Entries, limit: int) -> Iterable[Broadcast]:
        """Return what `joined` does, with each message that a member does not get by itself."""
        return self._around(room, entries, self.by_room.pop(room), limit)

    def clear(self) -> None:
        """Forget a round."""
        self.by_room.clear()

    @staticmethod
    def _around(
        room: LocalRoom,
        entries: Entries,
        excluded: Mapping[int, tuple[Sink, int | None]],
        limit: int,
    ) -> Iterator[Broadcast]:
        start = 0
        for index, (sink, after) in excluded.items():  # in the order in which they were noted
            if start < index:
                yield from joined(entries[start:index], limit)
            text, offset = entries[index]
            passed = encode_passed(room.name, offset, after) if offset else b""
            yield Withheld(text, offset, sink, Broadcast((passed,), (offset,)) if passed else None)
            start = index + 1
        if start < len(entries):
            yield from joined(entries[start:], limit)
