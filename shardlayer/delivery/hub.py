"""How a publication reaches the members of a room in this node.

A hub holds the rooms of one shard, and moves them through their states (see room.py). It gets
publications as they arrive, and delivers them in the next turn of the event loop. Each hub delivers
in turns of its own, so that a busy shard holds up no other. A delivery takes what waits, a round of
up to 1 MiB. What is for one room is framed and joined once, and every member gets one write. A
large room is written in slices. Between slices the event loop gets its turn; the order stays,
because the next delivery starts after the last slice.

A room that keeps history knows its position, the last offset that its members were written. A
publication at or below it is a repeat and is dropped. One that leaves a gap, or comes from another
epoch, is held back with all that follows, and the room's shard is asked for what is missing. The
answer waits before everything else that waits, and once it is written what was held follows it.

What waits is bounded. When more comes than can be written, all of it is dropped, and the rooms that
it was for are treated as having a gap: they go on from their histories.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import chain
from time import perf_counter, time

from shardlayer.aio.time_slices import TimeSlices
from shardlayer.broker.values import JoinReply
from shardlayer.core import tracing
from shardlayer.core.compression import Compression, apart
from shardlayer.core.frames import Broadcast, joined
from shardlayer.core.histogram import Histogram, doubling
from shardlayer.core.pushes import PresencePush, Reset, encode_push, encode_replayed
from shardlayer.core.types import Position, Publication, Sink, as_position
from shardlayer.delivery.arrivals import Arrived, Trace, loss_of, size_of, told_apart
from shardlayer.delivery.calm_rooms import CALM_SHARE, CalmRooms, OnCalm
from shardlayer.delivery.exclusions import Exclusions, Withheld
from shardlayer.delivery.fanout import fan_out, slices
from shardlayer.delivery.gate import Gate
from shardlayer.delivery.misdirected import Misdirected
from shardlayer.delivery.room import ASKED, Event, LocalRoom, State
from shardlayer.delivery.rounds import NOWHERE, Entries, Round, broken
from shardlayer.delivery.special_rooms import SpecialRoom
from shardlayer.delivery.traced import deliveries_of

logger = logging.getLogger(__name__)

ROUND_BYTES = 1_048_576  # of what arrived, taken for one round of writing

DELIVERY_SECONDS = doubling(0.0001, 16)  # bounds: 0.1 ms to 3.3 s
END_TO_END_SECONDS = doubling(0.001, 17)  # bounds: 1 ms to 65 s

_LIVE = State.LIVE  # looked at for every publication


class Hub:
    """The rooms of one shard in one node.

    Not thread-safe: everything happens on the node's event loop.

    Args:
        slice_size: Members that are written to before the event loop gets a turn.
        write_bytes: Bytes joined into one write, at most; one larger message goes alone.
        max_backlog: Bytes that may wait.
        turns: The turns of the event loop, which the node's hubs share.
        on_doubt: Called with a room that may have missed something, so that its shard is to be
            asked: `ask` it, and `admit` the answer.
        misdirected: Told of publications for rooms that have channels alone.
        clients: The sinks that publications may leave out, by name.
        special: Returns what a room does beside delivering, by its name.
        on_calm: Called with a calm room and the seconds after which `calm.is_due` is to be called
            with it, and `deliver`.
        on_answer: Called with a room that has taken an answer, or is forgotten.

    Attributes:
        members: Memberships of its rooms, sinks and channels. Whoever changes a room's channels
            counts them here: a sum over all rooms would cost a busy node too much.
        delivered: Messages written to members.
        written_bytes: Bytes of the frames that were written to members.
        saved_bytes: Bytes by which these are fewer since they were compressed.
        ages: Seconds from the moment at which a publication began its way until all members were
            written to; one value for each round, as the batch says with which it began. Clocks of
            two machines may differ; a negative age counts as none.
        delays: Seconds from hearing of publications until all members were written to; one value
            for each round, of its oldest publication.
        resets: Rooms whose members were told that their count is another now.
        unwanted: Publications that came for a group without members.
        failed: Members removed because writing to them raised.
        broken_rounds: Rounds of writing that an error ended; their rooms asked again.
        overflows: How often more waited than `max_backlog`, and was dropped.
        dropped: Publications of rooms without history that were lost so.
        calm: What waits in calm rooms.
    """

    def __init__(
        self,
        *,
        slice_size: int,
        write_bytes: int,
        max_backlog: int,
        turns: TimeSlices,
        on_doubt: Callable[[LocalRoom], None],
        misdirected: Misdirected | None = None,
        clients: Mapping[str, Sink] | None = None,
        special: Callable[[str], SpecialRoom | None] = lambda name: None,
        on_calm: OnCalm = lambda room, seconds: None,
        on_answer: Callable[[LocalRoom], None] = lambda room: None,
    ) -> None:
        self.rooms: dict[str, LocalRoom] = {}
        self.members = 0
        self.delivered = 0
        self.written_bytes = 0
        self.saved_bytes = 0
        self.ages = Histogram(END_TO_END_SECONDS)
        self.delays = Histogram(DELIVERY_SECONDS)
        self.resets = 0
        self.unwanted = 0
        self.failed = 0
        self.broken_rounds = 0
        self.overflows = 0
        self.dropped = 0
        self._slice_size = slice_size
        self._write_bytes = write_bytes
        self._max_backlog = max_backlog
        self._turns = turns
        self._on_doubt = on_doubt
        self._misdirected = misdirected or Misdirected()
        self._exclusions = Exclusions({} if clients is None else clients)
        self._special = special
        self._on_answer = on_answer
        self.calm = CalmRooms(self._exclusions, on_calm, limit=max_backlog // CALM_SHARE)
        self._waiting: deque[Arrived] = deque()
        self._taken: Arrived | None = None  # last
        self._compression: Compression | None = None  # of the server, once a sink has it
        self._traced: list[Arrived] = []  # of this round: what has publications with traces
        self._waiting_size = 0  # bytes, as the next two
        self._writing_size = 0
        self._held_size = 0

    @property
    def backlog(self) -> int:
        """Bytes of publications that arrived and have not been written yet."""
        return self._waiting_size + self._writing_size + self._held_size + self.calm.size

    def open(self, name: str) -> LocalRoom:
        """Return the room of that name, made if there was none."""
        room = self.rooms.get(name)
        if room is None:
            room = self.rooms[name] = LocalRoom(name, self._special(name))
        return room

    def join(self, room: LocalRoom, sink: Sink) -> Gate:
        """Make `sink` a member, behind a closed gate. O(1)."""
        gate = Gate(room, sink)
        if sink not in room.sinks:
            self.members += 1
            compression = getattr(sink, "compression", None)
            if compression is not None:
                self._compression = compression
                room.compressing += 1
        room.sinks[sink] = gate
        return gate

    def leave(self, name: str, sink: Sink) -> LocalRoom | None:
        """End a membership, if there is one, and return the room, if there is one. O(1)."""
        room = self.rooms.get(name)
        # Gone already if writing to it had failed.
        if room is not None and room.sinks.pop(sink, None) is not None:
            self._count_out(room, sink)
        return room

    def forget(self, room: LocalRoom) -> None:
        """Drop a room that nobody is in, with what is held back for it."""
        room.move(Event.FORGET)
        del self.rooms[room.name]
        self._let_go(room)
        if room.special is not None:
            self.calm.forget(room)
        self._on_answer(room)

    def feed(
        self,
        publications: Sequence[Publication],
        size: int,
        since: float = 0.0,
        traces: Sequence[Trace] = (),
    ) -> bool:
        """Take publications that arrived, in order, `size` bytes. `deliver` hands them out.

        `since` and `traces` are as in `Arrived`.

        Returns False if that was too much, so that all that waits was dropped.
        """
        self._waiting.append(
            Arrived(publications, size, at=perf_counter(), since=since, traces=traces)
        )
        self._waiting_size += size
        if self._waiting_size + self._writing_size + self._held_size <= self._max_backlog:
            return True
        self._shed()
        return False

    def enter(self, room: LocalRoom) -> None:
        """Note that the shard of a new room is asked for the first time."""
        room.move(Event.ASK)

    def refuse(self, room: LocalRoom) -> None:
        """Note that the first question failed: the room is as new, and its members leave it."""
        room.move(Event.FAIL)
        self._let_go(room)

    def miss(self, room: LocalRoom) -> None:
        """Note that something for a room may have passed unheard."""
        self._move(room, Event.MISS)

    def cleared(self, name: str, at: Position) -> None:
        """Keep nothing of what was published to a room up to a position. O(1)."""
        room = self.rooms.get(name)
        if room is not None and room.special is not None:
            room.special.clear(at)

    def ask(self, room: LocalRoom) -> None:
        """Note that a room's shard is asked now: what is held was published before its answer."""
        room.asked = len(room.held)

    def admit(self, room: LocalRoom, reply: JoinReply) -> None:
        """Take the answer of a room's shard, which is written before all that waits for the room.

        Members have their own answers to a first question. Later their position is known, and
        where they may have missed more than the answer brings them they are told. If it ends
        before the shard's position, the shard is asked for the rest once it is on its way.
        """
        self._move(room, Event.ANSWER)
        publications: Sequence[Publication] = ()
        reset = None
        start = reply.start
        if room.position is None or reply.position is None:
            room.position = reply.position
            if room.special is not None:
                room.special.learn(reply.newest)
        else:
            publications = reply.publications
            is_reset = not reply.recovered or room.position.epoch != reply.position.epoch
            newest = reply.newest
            if is_reset and not publications and newest and newest[2:4] == reply.position:
                # Its history is gone, but not the newest, which members may not have.
                publications, start = [newest], newest.offset - 1
            elif reply.reached != reply.position:
                self._move(room, Event.MISS)
            elif room.special is not None and not publications and newest is None:
                room.special.clear(reply.position)  # which may have been told while nobody heard
            if is_reset:
                reset = Position(offset=start, epoch=reply.position.epoch)
        arrived = Arrived(publications, size_of(publications), room, reset, start)
        self._waiting.appendleft(arrived)
        self._waiting_size += arrived.size

    def deliver(self) -> Generator[None, None, None]:
        """Write all that waits to the members, and what comes meanwhile. One call at a time.

        Yields whenever the event loop should have its turn before it is asked to go on.
        """
        turns, calm_due, excluded = self._turns, self.calm.due, self._exclusions.by_room
        turns.begin()
        try:
            while self._waiting or calm_due:
                # Within a round no room changes its epoch, but at its beginning.
                collected: dict[LocalRoom, Entries] = {}
                resets: dict[LocalRoom, Position] = {}
                written = 0
                last = None
                if self._waiting:
                    oldest, since = self._waiting[0].at, self._waiting[0].since
                else:
                    oldest, since, self._taken = 0.0, 0.0, None
                try:
                    self._collect(collected, resets)
                    if calm_due:
                        self.calm.collect(collected)
                    for room, entries in collected.items():
                        if excluded and room in excluded:
                            broadcasts = self._exclusions.broadcasts(
                                room, entries, self._write_bytes
                            )
                        else:
                            broadcasts = joined(entries, self._write_bytes)
                        if resets and room in resets:
                            before = self.calm.before_reset(room, self._write_bytes)
                            broadcasts = chain(
                                before, (Reset(room.name, resets[room]),), broadcasts
                            )
                        for broadcast in broadcasts:
                            if perf_counter() >= turns.ends:
                                yield
                            if room.compressing and self._compression is not None:
                                yield from self._compression.prepare(broadcast, room.compressing)
                            if len(room.sinks) <= self._slice_size:
                                self._write_slice(room, list(room.sinks.values()), broadcast)
                            else:
                                yield from self._write_slices(room, broadcast)
                            last = broadcast
                        last = None
                        written += 1
                except Exception as error:
                    self._break_off(Round(self._taken, collected, resets, written, last), error)
                self._writing_size = 0
                if oldest:
                    self.delays.observe(perf_counter() - oldest)
                if since:
                    self.ages.observe(max(time() - since, 0.0))
                if self._traced:
                    self._tell_traced()
        finally:
            turns.end()

    def _tell_traced(self) -> None:
        traced, self._traced = self._traced, []
        if tracing.tracer is not None:
            tracing.tracer.delivered(deliveries_of(traced, self.rooms, perf_counter()))

    def _break_off(self, round: Round, error: Exception) -> None:
        """Have the rooms asked for what an error kept a round from writing."""
        self.broken_rounds += 1
        self._exclusions.clear()
        self._traced = []
        logger.error("A delivery failed. Its rooms go on from their histories", exc_info=error)
        behind, dropped = broken(round, self.rooms)
        self.dropped += dropped
        # They were asked for from where the rooms seemed to be.
        for arrived in [arrived for arrived in self._waiting if arrived.room in behind]:
            self._waiting.remove(arrived)
            self._waiting_size -= arrived.size
        for room, position in behind.items():
            if room.state is State.FORGOTTEN:
                continue
            # An answer that is under way may leap over what is missing, so it is told.
            room.position = NOWHERE if room.state in ASKED else position
            is_admitted = room.state in (State.ADMITTED, State.ADMITTED_AGAIN)
            self._move(room, Event.DROP if is_admitted else Event.MISS)
        last = round.taken.room if round.taken else None
        if (
            last is not None
            and last.position is None
            and last.state is State.ADMITTED
            and all(arrived.room is not last for arrived in self._waiting)
        ):
            self._move(last, Event.WRITE)  # without history nothing was in the answer

    def _collect(
        self, collected: dict[LocalRoom, Entries], resets: dict[LocalRoom, Position]
    ) -> None:
        """Take what waits, a round of it.

        Adds what each room's members are written, and before it where they are told to be.
        """
        while self._waiting:
            self._taken = arrived = self._waiting.popleft()
            self._waiting_size -= arrived.size
            self._writing_size += arrived.size
            if arrived.traces:
                self._traced.append(arrived)
            if arrived.room is not None:
                # The first of what waits for the room, so nothing of it was collected before.
                again = 0  # up to this offset members may have had it before the reset
                if arrived.reset is not None:
                    resets[arrived.room] = arrived.reset
                    self.resets += 1
                    if arrived.room.special is not None:
                        self.calm.break_off(arrived.room, arrived.reset.epoch)
                    again = arrived.publications[-1].offset if arrived.publications else 0
                publications = self._follow(arrived.room, arrived)
                if arrived.room.special is not None:
                    publications = self._special_of(arrived, publications, again)
                entries = [
                    (
                        encode_replayed(publication)
                        if 0 < publication.offset <= again
                        else encode_push(publication),
                        publication.offset,
                    )
                    for publication in publications
                ]
                for index, publication in enumerate(publications):
                    if publication.exclude:
                        self._exclusions.note(arrived.room, index, publication.exclude)
                if arrived.room.sinks and (entries or arrived.reset is not None):
                    collected[arrived.room] = entries
            else:
                for publication in arrived.publications:
                    exclude = ""
                    room = self.rooms.get(publication.room)
                    if room is None:
                        publication = told_apart(publication)
                        exclude = publication.exclude
                        room = self.rooms.get(publication.room)
                    if room is None:
                        self.unwanted += 1
                    elif self._is_next(room, publication):
                        if (special := room.special) is not None:
                            special.follow(publication)
                            if special.window is not None and room.sinks:
                                self.calm.add(room, special.window, publication)
                                continue
                        if room.sinks:
                            entry = (encode_push(publication), publication.offset)
                            entries = collected.setdefault(room, [])
                            if exclude:
                                self._exclusions.note(room, len(entries), exclude)
                            entries.append(entry)
                        elif room.channels:
                            self._misdirected.publication(room.name)
            if self._writing_size >= ROUND_BYTES:
                break

    def _special_of(
        self, answer: Arrived, publications: list[Publication], again: int
    ) -> list[Publication]:
        """Have a room with something special follow an answer; return what is written as usual."""
        room = answer.room
        assert room is not None
        assert room.special is not None
        if publications:
            room.special.follow(publications[-1])
        elif answer.reset is not None:
            room.special.reset(answer.reset.epoch)
        window = room.special.window
        if window is None or not room.sinks:
            return publications
        for publication in publications:
            self.calm.add(
                room,
                window,
                publication,
                replayed=0 < publication.offset <= again,
                at_once=answer.reset is not None,
            )
        return []

    def _follow(self, room: LocalRoom, answer: Arrived) -> list[Publication]:
        """Move a room on by the answer of its shard; return what its members are written."""
        if room.state is State.FORGOTTEN:
            return []
        if answer.reset is not None:
            room.position = answer.reset
        elif room.position is not None and room.position.offset < answer.start:
            room.position = Position(answer.start, room.position.epoch)
        here = room.position
        news = [
            publication
            for publication in answer.publications
            if here and publication.offset > here.offset
        ]
        if news:
            room.position = Position(news[-1].offset, news[-1].epoch)
        held, asked = room.held, room.asked
        self._let_go(room)
        self._move(room, Event.WRITE)
        for number, publication in enumerate(held):
            # What was held when the shard was asked, and is of another epoch, was before this one.
            is_past = number < asked and self._is_foreign(room, publication)
            if not is_past and self._is_next(room, publication):
                news.append(publication)
        self._on_answer(room)
        return news

    def _shed(self) -> None:
        """Drop all that waits; whoever keeps history asks for it again."""
        self.overflows += 1
        loss = loss_of(self._waiting, self.rooms)
        self.dropped += loss.dropped
        self.unwanted += loss.unwanted
        self._waiting.clear()
        self._waiting_size = 0
        for room in self.rooms.values():
            self._let_go(room)
        for room in loss.behind:
            self._move(room, Event.MISS)
        for room in loss.unanswered:
            if room.state is not State.FORGOTTEN:
                # Without history nothing was in the answer but the answer itself.
                self._move(room, Event.WRITE if room.position is None else Event.DROP)

    def _is_next(self, room: LocalRoom, publication: Publication) -> bool:
        """Tell whether a publication follows what was delivered; hold it back if it may later."""
        if room.state is not _LIVE:
            self._hold_back(room, publication)
            return False
        here = room.position
        if not publication.offset or here is None:
            return True
        if publication.epoch == here.epoch:
            if publication.offset == here.offset + 1:
                room.position = as_position((publication.offset, here.epoch))
                return True
            if publication.offset <= here.offset:
                return False
        self._hold_back(room, publication)
        self._move(room, Event.MISS)
        return False

    @staticmethod
    def _is_foreign(room: LocalRoom, publication: Publication) -> bool:
        here = room.position
        return here is not None and bool(publication.offset) and publication.epoch != here.epoch

    def _hold_back(self, room: LocalRoom, publication: Publication) -> None:
        if room.state is State.NEW:
            self.unwanted += 1  # from before the first member's answer
            return
        room.held.append(publication)
        self._held_size += len(publication.data)

    def _let_go(self, room: LocalRoom) -> None:
        """Hold nothing back any more."""
        if room.held:
            self._held_size -= size_of(room.held)
            room.held = []
        room.asked = 0

    def _move(self, room: LocalRoom, event: Event) -> None:
        """Move a room, and have its shard asked where that is due."""
        before = room.state
        if room.move(event) is State.HEALING and before is not State.HEALING:
            self._on_doubt(room)

    def write_beside(self, room: LocalRoom, broadcast: PresencePush) -> Generator[None, None, None]:
        """Write a room's members what has no place among its publications. Yields as `deliver`."""
        return self._write_slices(room, broadcast)

    def _write_slices(self, room: LocalRoom, broadcast: Broadcast) -> Generator[None, None, None]:
        for number, present in enumerate(slices(room.sinks, self._slice_size)):
            if number:
                yield
            self._write_slice(room, present(), broadcast)

    def _write_slice(self, room: LocalRoom, writers: Sequence[Sink], broadcast: Broadcast) -> None:
        if broadcast.__class__ is Withheld:
            assert isinstance(broadcast, Withheld)
            writers, excluded = broadcast.split(writers, room.sinks)
            if excluded is not None and broadcast.instead is not None:
                self._write_slice(room, [excluded], broadcast.instead)
        if broadcast.compressed is None:
            self._write(room, writers, broadcast, broadcast.frames)
            return
        compressing, plain, behind_gates = apart(writers)
        self._write(room, compressing, broadcast, broadcast.compressed)
        if plain:
            self._write(room, plain, broadcast, broadcast.frames)
        saved = len(broadcast.frames) - len(broadcast.compressed)
        self.saved_bytes += (len(compressing) + behind_gates) * saved
        self.written_bytes -= behind_gates * saved

    def _write(
        self, room: LocalRoom, writers: Sequence[Sink], broadcast: Broadcast, frames: bytes
    ) -> None:
        for writer, error in fan_out(writers, broadcast, frames):
            self._remove(room, writer)
            logger.error(
                "A member of %s can't be written to and was removed", room.name, exc_info=error
            )
            error.__traceback__ = None  # it knows this frame, which knows it
        count = len(writers)
        self.delivered += count * len(broadcast.texts)
        self.written_bytes += count * len(frames)

    def _remove(self, room: LocalRoom, writer: Sink) -> None:
        """Remove the member that is written to by `writer`. O(n), to keep writing cheap."""
        self.failed += 1
        for sink, its_writer in room.sinks.items():
            if its_writer is writer:
                del room.sinks[sink]
                self._count_out(room, sink)
                return

    def _count_out(self, room: LocalRoom, sink: Sink) -> None:
        self.members -= 1
        if room.compressing and getattr(sink, "compression", None) is not None:
            room.compressing -= 1
