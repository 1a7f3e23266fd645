"""Checks each publication that a client gets, by its number in its room."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any, Final

from realtime.loadtest.load_stamp import MARK, read_stamp
from realtime.loadtest.swarm.load_connection import LoadConnection
from realtime.loadtest.swarm.load_person import UNKNOWN, LoadCell, LoadPerson

MOST_FAULTS: Final = 100  # told one by one in a report; all are counted
_LEAP: Final = 1 << 40  # offsets from here on are behind a restart of Redis
_REPLAYED: Final = b'"replayed":true}'


class DeliveryCheck:
    """What a swarm's clients got, beside what they must have got.

    A client must get number 0, 1, 2 … of a room, each once, from the place on where it joined.

    Attributes:
        rooms: The name of each room and the token that opens it.
        shards: The shard of each room; UNKNOWN: nobody knows.
        offset: Nanoseconds by which this machine's clock is ahead of the publisher's.
        keeps_positions: Whether clients note offsets, for when they come back.
        connected: By node, how many clients are subscribed there.
        counts: Since the beginning: `recovered` (from the history), `missed` (something
            later came first, and it never came), `disordered` (came later after all), `doubled`
            (came again), `wrong` (of a room that the client is not in, or in the wrong envelope).
        faults: What was wrong since the last report.
    """

    def __init__(
        self,
        rooms: list[tuple[str, str]],
        shards: list[int],
        *,
        offset: int,
        keeps_positions: bool,
    ) -> None:
        self.rooms = rooms
        self.shards = shards
        self.offset = offset
        self.keeps_positions = keeps_positions
        self.connected: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.faults: deque[dict[str, Any]] = deque(maxlen=MOST_FAULTS)
        self._heads = [f'{{"room":"{name}"'.encode() for name, _ in rooms]
        self._epochs: dict[int, str] = {}  # the first one of each room
        self._cells: dict[tuple[str, int], LoadCell] = {}

    def take_push(self, person: LoadPerson, start: int, stop: int, now: int) -> bool:
        """Take a push of the shared buffer; False: it carries no stamp, and nothing was done.

        Args:
            person: Who got it.
            start: Where it begins.
            stop: Where it ends.
            now: Nanoseconds of the monotonic clock.
        """
        buffer = LoadConnection.BUFFER
        at = buffer.find(MARK, start, stop)
        if at < 0:
            return False
        room, number, sent = read_stamp(buffer, at)
        head = self._heads[room] if room < len(self._heads) else b"?"
        expected = person.expected.get(room)
        if expected is None or not buffer.startswith(head, start):
            told = bytes(buffer[start : min(stop, start + 120)]).decode("utf-8", "replace")
            self._fault("wrong", person, room, number, sent, told)
            return True
        if self.keeps_positions:
            self._note_offset(person, room, start + len(head))
        jumps = number != expected and expected != UNKNOWN
        if jumps and not self._jump(person, room, number, sent):
            return True
        person.expected[room] = number + 1
        if buffer.endswith(_REPLAYED, start, stop):
            self.counts["recovered"] += 1
            return True
        person.cells[room].delays.append(now - sent - self.offset)
        return True

    def take_recovered(self, person: LoadPerson, room: int, data: object) -> None:
        """Take a publication out of the answer to a subscription."""
        stamp = data.get("stamp") if isinstance(data, dict) else None
        if not isinstance(stamp, str):
            return
        _, number, sent = read_stamp(MARK + stamp[1:].encode(), 0)
        expected = person.expected.get(room, UNKNOWN)
        jumps = number != expected and expected != UNKNOWN
        if jumps and not self._jump(person, room, number, sent):
            return
        person.expected[room] = number + 1
        self.counts["recovered"] += 1

    def joined(self, person: LoadPerson, room: int, offset: int | None, epoch: str) -> None:
        """Note where a client begins in a room that it is new in.

        Offsets of a room that is made for this test begin at 1, and its numbers at 0: what comes
        next has the room's offset for its number. After Redis lost the room it counts anew, or
        behind a leap: then nobody knows what comes next.
        """
        if offset is not None:
            counts_anew = self._epochs.setdefault(room, epoch) != epoch or offset >= _LEAP
            person.expected.setdefault(room, UNKNOWN if counts_anew else offset)
        else:
            person.expected.setdefault(room, UNKNOWN)
        where = person.node or "", self.shards[room]
        cell = self._cells.get(where)
        if cell is None:
            cell = self._cells[where] = LoadCell()
        person.cells[room] = cell

    def _note_offset(self, person: LoadPerson, room: int, at: int) -> None:
        """Note the offset of a push of a room with history: `,"offset":43,` stands at `at`."""
        buffer = LoadConnection.BUFFER
        if buffer.startswith(b',"offset":', at):
            at += 10
            digits = buffer[at : at + 20].split(b",", 1)[0]
            epoch = person.positions.get(room, (0, ""))[1]
            person.positions[room] = (int(digits), epoch)

    def _jump(self, person: LoadPerson, room: int, number: int, sent: int) -> bool:
        """Deal with a number that is not the next; return whether it is a later one."""
        expected = person.expected[room]
        if number > expected:
            person.gaps.append((room, expected, number))
            self.counts["missed"] += number - expected
            person.cells[room].missed += number - expected
            return True
        for at, (gap_room, first, end) in enumerate(person.gaps):
            if gap_room == room and first <= number < end:
                parts = [(room, first, number), (room, number + 1, end)]
                person.gaps[at : at + 1] = [each for each in parts if each[1] < each[2]]
                self.counts["missed"] -= 1
                person.cells[room].missed -= 1
                self._fault("disordered", person, room, number, sent)
                return False
        self._fault("doubled", person, room, number, sent)
        return False

    def _fault(
        self, kind: str, person: LoadPerson, room: int, number: int, sent: int, text: str = ""
    ) -> None:
        self.counts[kind] += 1
        self.faults.append(
            {
                "kind": kind,
                "client": person.number,
                "node": person.node or "",
                "room": room,
                "number": number,
                "sent": sent,
                "text": text,
                "at": time.time(),
            }
        )

    def report(self) -> dict[str, Any]:
        """Return what came since the last report, and the counts since the beginning."""
        told = {
            "counts": self.counts,
            "nodes": self.connected,
            "cells": [(node, shard, cell.report()) for (node, shard), cell in self._cells.items()],
            "faults": list(self.faults),
        }
        self.faults.clear()
        return told
