"""Members, gates and the order of what they get."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Iterator, Sequence
from time import time

import orjson
import pytest

from shardlayer.aio.time_slices import TimeSlices
from shardlayer.broker.values import JoinReply
from shardlayer.core.types import Position, Publication
from shardlayer.delivery.arrivals import Trace, size_of
from shardlayer.delivery.hub import Hub
from shardlayer.delivery.room import LocalRoom, State
from tests.shardlayer.fakes import BrokenSink, RecordingSink, RecordingTracer, recording_tracer
from tests.waiting import PATIENCE

EPOCH = "k3k3k3k3"


def publications(room: str, *offsets: int, epoch: str = EPOCH) -> list[Publication]:
    return [
        Publication(room=room, data=b"%d" % offset, offset=offset, epoch=epoch)
        for offset in offsets
    ]


def answer(
    offset: int, *missed: Publication, epoch: str = EPOCH, recovered: bool = True
) -> JoinReply:
    """Return what a room's shard answers: where it is, and what was missed before that."""
    return JoinReply(
        leased=True,
        position=Position(offset=offset, epoch=epoch),
        recovered=recovered,
        publications=list(missed),
        start=missed[0].offset - 1 if missed else offset,
    )


WITHOUT_HISTORY = JoinReply(leased=True, position=None, recovered=False, publications=[])


def offsets_of(sink: RecordingSink) -> list[object]:
    """Return the offsets that a sink got; a reset as the offset that it names, negated."""
    found = []
    for text in sink.texts:
        push = orjson.loads(text)
        found.append(-push["reset"]["offset"] if "reset" in push else push["offset"])
    return found


async def deliver(hub: Hub) -> None:
    """Deliver as the rooms of a node do, with a turn of the event loop wherever it is asked for."""
    for _ in hub.deliver():
        await asyncio.sleep(0)


class HubUnderTest(Hub):
    """A hub that remembers which rooms it had asked for."""

    def __init__(
        self,
        slice_size: int = 1_000,
        write_bytes: int = 65_536,
        max_backlog: int = 1_000_000,
        turns: TimeSlices | None = None,
    ) -> None:
        self.gaps: list[LocalRoom] = []
        super().__init__(
            slice_size=slice_size,
            write_bytes=write_bytes,
            max_backlog=max_backlog,
            turns=turns or TimeSlices(),
            on_doubt=self.gaps.append,
        )

    def feed(
        self,
        publications: Sequence[Publication],
        size: int = 0,
        since: float = 0.0,
        traces: Sequence[Trace] = (),
    ) -> bool:
        return super().feed(publications, size or size_of(publications), since, traces)

    def live_room(self, name: str = "general", offset: int = 0) -> LocalRoom:
        room = self.open(name)
        self.enter(room)
        self.admit(room, answer(offset))
        list(self.deliver())
        return room

    def plain_room(self, name: str = "plain") -> LocalRoom:
        room = self.open(name)
        self.enter(room)
        self.admit(room, WITHOUT_HISTORY)
        list(self.deliver())
        return room

    def member(self, room: LocalRoom, sink: RecordingSink | None = None) -> RecordingSink:
        sink = sink or RecordingSink()
        self.join(room, sink).open(room.position)
        return sink


async def test_members_get_what_is_published_and_others_do_not() -> None:
    """Delivery goes to the room's members, in order, until they leave."""
    hub = HubUnderTest()
    general, other = hub.live_room(), hub.live_room("other")
    first, second, stranger = hub.member(general), hub.member(general), hub.member(other)
    hub.feed(publications("general", 1, 2))
    await deliver(hub)
    hub.leave("general", second)
    hub.feed(publications("general", 3))
    await deliver(hub)
    assert offsets_of(first) == [1, 2, 3]
    assert offsets_of(second) == [1, 2]
    assert stranger.texts == []


async def test_what_waits_for_a_room_is_one_write() -> None:
    """Publications of several batches are joined, up to `write_bytes`."""
    hub = HubUnderTest(write_bytes=200)
    sink = hub.member(hub.live_room())
    for offset in range(1, 9):
        hub.feed(publications("general", offset))
    await deliver(hub)
    assert offsets_of(sink) == list(range(1, 9))
    assert sink.writes == 2


async def test_publication_without_members_is_counted() -> None:
    """What comes for a room that nobody is in is dropped and counted."""
    hub = HubUnderTest()
    hub.feed(publications("nobody", 1, 2))
    await deliver(hub)
    assert hub.unwanted == 2


async def test_failing_member_is_removed_and_hurts_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A sink that raises is dropped from the room; the others get everything."""
    hub = HubUnderTest()
    room = hub.live_room()
    before, broken, after = hub.member(room), hub.member(room, BrokenSink()), hub.member(room)
    with caplog.at_level(logging.CRITICAL, "shardlayer.delivery.hub"):
        hub.feed(publications("general", 1))
        await deliver(hub)
    hub.feed(publications("general", 2))
    await deliver(hub)
    assert offsets_of(before) == offsets_of(after) == [1, 2]
    assert broken.writes == 1
    assert hub.failed == 1


async def test_failing_member_is_freed_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """What it raised knows frames, and these know what it raised."""
    hub = HubUnderTest()
    room = hub.live_room()
    gone = weakref.ref(hub.member(room, BrokenSink()))
    gc.disable()
    try:
        with caplog.at_level(logging.CRITICAL, "shardlayer.delivery.hub"):
            hub.feed(publications("general", 1))
            await deliver(hub)
        assert gone() is None
    finally:
        gc.enable()


async def test_large_room_gives_the_loop_back_between_slices() -> None:
    """Other tasks run between the slices of one broadcast, and the order stays."""
    hub = HubUnderTest(slice_size=10, turns=TimeSlices(seconds=PATIENCE))
    room = hub.live_room()
    members = [hub.member(room) for _ in range(35)]
    hub.feed(publications("general", 1))
    progress = []

    async def watch() -> None:
        while True:
            progress.append(sum(bool(member.texts) for member in members))
            await asyncio.sleep(0)

    watcher = asyncio.create_task(watch())
    await deliver(hub)
    watcher.cancel()
    assert progress == [10, 20, 30]
    hub.feed(publications("general", 2))
    await deliver(hub)
    assert all(offsets_of(member) == [1, 2] for member in members)


async def test_member_that_leaves_between_slices_gets_nothing_more() -> None:
    """A broadcast in slices skips whoever left meanwhile."""
    hub = HubUnderTest(slice_size=1)
    room = hub.live_room()
    first, second = hub.member(room), hub.member(room)
    hub.feed(publications("general", 1))
    delivery = asyncio.create_task(deliver(hub))
    await asyncio.sleep(0)
    hub.leave("general", second)
    await delivery
    assert offsets_of(first) == [1]
    assert second.texts == []


async def test_pushes_wait_behind_a_closed_gate() -> None:
    """Nothing is pushed before the reply was written; then just what came after it."""
    hub = HubUnderTest()
    room = hub.live_room(offset=5)
    sink = RecordingSink()
    gate = hub.join(room, sink)
    hub.feed(publications("general", 6, 7, 8))
    await deliver(hub)
    assert sink.texts == []
    gate.open(Position(offset=7, epoch=EPOCH))
    assert offsets_of(sink) == [8]
    hub.feed(publications("general", 9))
    await deliver(hub)
    assert offsets_of(sink) == [8, 9]
    assert room.sinks[sink] is sink


async def test_open_gate_skips_what_the_reply_had_already() -> None:
    """A member that is ahead of the room gets no repeat when the room catches up."""
    hub = HubUnderTest()
    room = hub.live_room(offset=5)
    sink = RecordingSink()
    hub.join(room, sink).open(Position(offset=8, epoch=EPOCH))
    hub.feed(publications("general", 6, 7))
    await deliver(hub)
    hub.feed(publications("general", 8, 9))
    await deliver(hub)
    assert offsets_of(sink) == [9]


async def test_repeats_are_dropped() -> None:
    """A publication that the room has delivered is not delivered again."""
    hub = HubUnderTest()
    sink = hub.member(hub.live_room())
    hub.feed(publications("general", 1, 2, 1, 2, 3))
    await deliver(hub)
    assert offsets_of(sink) == [1, 2, 3]


async def test_gap_holds_the_room_until_it_is_admitted() -> None:
    """After a gap nothing is delivered until what is missing is known; then all, in order."""
    hub = HubUnderTest()
    room = hub.live_room()
    sink = hub.member(room)
    hub.feed(publications("general", 1, 4))
    hub.feed(publications("general", 5))
    await deliver(hub)
    assert offsets_of(sink) == [1]
    assert hub.gaps == [room]
    hub.admit(room, answer(4, *publications("general", 2, 3, 4)))
    await deliver(hub)
    assert offsets_of(sink) == [1, 2, 3, 4, 5]


async def test_members_are_told_when_something_is_gone() -> None:
    """What can't be had any more shows as a reset before what can."""
    hub = HubUnderTest()
    room = hub.live_room()
    sink = hub.member(room)
    hub.feed(publications("general", 1, 9))
    await deliver(hub)
    hub.admit(room, answer(9, *publications("general", 8, 9), recovered=False))
    await deliver(hub)
    assert offsets_of(sink) == [1, -7, 8, 9]


async def test_new_epoch_is_a_reset() -> None:
    """A room whose numbering began anew tells its members, also one that just joined."""
    hub = HubUnderTest()
    room = hub.live_room()
    sink = hub.member(room)
    hub.feed(publications("general", 1, 2))
    await deliver(hub)
    newcomer = RecordingSink()
    gate = hub.join(room, newcomer)
    hub.feed(publications("general", 1, epoch="k4k4k4k4"))
    await deliver(hub)
    assert hub.gaps == [room]
    fresh = publications("general", 1, epoch="k4k4k4k4")
    hub.admit(room, answer(1, *fresh, epoch="k4k4k4k4", recovered=False))
    await deliver(hub)
    gate.open(Position(offset=2, epoch=EPOCH))
    hub.feed(publications("general", 2, epoch="k4k4k4k4"))
    await deliver(hub)
    assert offsets_of(sink) == [1, 2, 0, 1, 2]
    assert offsets_of(newcomer) == [0, 1, 2]


async def test_what_comes_again_after_a_reset_says_so() -> None:
    """Members may have had what the history gives after a reset; what was heard since is new."""
    hub = HubUnderTest()
    room = hub.live_room()
    sink = hub.member(room)
    hub.feed(publications("general", 1, 2))
    await deliver(hub)
    hub.feed(publications("general", 3, epoch="k4k4k4k4"))
    await deliver(hub)
    kept = publications("general", 1, 2, 3, epoch="k4k4k4k4")
    hub.feed(publications("general", 4, epoch="k4k4k4k4"))
    await deliver(hub)
    hub.admit(room, answer(3, *kept, epoch="k4k4k4k4", recovered=False))
    await deliver(hub)
    pushes = [orjson.loads(text) for text in sink.texts]
    assert [(push.get("offset"), push.get("replayed", False)) for push in pushes] == [
        *((1, False), (2, False)),
        (None, False),  # the reset
        *((1, True), (2, True), (3, True)),
        (4, False),
    ]


async def test_first_join_delivers_what_came_meanwhile() -> None:
    """Publications that overtake the reply to a room's first join wait for it."""
    hub = HubUnderTest()
    room = hub.open("general")
    sink = RecordingSink()
    gate = hub.join(room, sink)
    hub.enter(room)
    hub.feed(publications("general", 3, 4))
    await deliver(hub)
    hub.admit(room, answer(3))
    gate.open(Position(offset=3, epoch=EPOCH))
    await deliver(hub)
    assert offsets_of(sink) == [4]


async def test_room_without_history_delivers_everything() -> None:
    """Where nothing is numbered nothing is held or dropped."""
    hub = HubUnderTest()
    sink = hub.member(hub.plain_room())
    hub.feed([Publication(room="plain", data=b"1"), Publication(room="plain", data=b"1")])
    await deliver(hub)
    assert len(sink.texts) == 2


async def test_member_that_knows_the_new_epoch_is_told_nothing_twice() -> None:
    """Its reply was from the epoch that the room comes to later: no reset, and only what is new."""
    hub = HubUnderTest()
    room = hub.live_room(offset=3)
    old = hub.member(room)
    newcomer = RecordingSink()
    gate = hub.join(room, newcomer)
    hub.feed(publications("general", 4))
    await deliver(hub)
    gate.open(Position(offset=2, epoch="k4k4k4k4"))
    hub.feed(publications("general", 5))
    hub.feed(publications("general", 3, epoch="k4k4k4k4"))
    await deliver(hub)
    assert hub.gaps == [room]
    fresh = publications("general", 1, 2, 3, epoch="k4k4k4k4")
    hub.admit(room, answer(3, *fresh, epoch="k4k4k4k4", recovered=False))
    await deliver(hub)
    assert offsets_of(old) == [4, 5, 0, 1, 2, 3]
    assert offsets_of(newcomer) == [3]


async def test_reset_behind_a_closed_gate_that_the_reply_knew_of() -> None:
    """The same where the room came to the new epoch before the reply was written."""
    hub = HubUnderTest()
    room = hub.live_room(offset=3)
    newcomer = RecordingSink()
    gate = hub.join(room, newcomer)
    hub.feed(publications("general", 4))
    fresh = publications("general", 1, 2, 3, epoch="k4k4k4k4")
    await deliver(hub)
    hub.miss(room)
    hub.admit(room, answer(3, *fresh, epoch="k4k4k4k4", recovered=False))
    await deliver(hub)
    gate.open(Position(offset=2, epoch="k4k4k4k4"))
    assert offsets_of(newcomer) == [3]


async def test_room_that_was_forgotten_is_not_asked_for_again() -> None:
    """Its node would be registered for it without anybody to end that."""
    hub = HubUnderTest()
    room = hub.live_room()
    hub.miss(room)
    hub.admit(room, answer(9, *publications("general", 1, 2)))
    hub.forget(room)
    await deliver(hub)
    assert hub.gaps == [room]


async def test_what_is_too_much_is_dropped_and_asked_for_again() -> None:
    """Past `max_backlog` nothing is kept: rooms with history have a gap, others a counted loss."""
    hub = HubUnderTest(max_backlog=100)
    room, plain = hub.live_room(), hub.plain_room()
    sink, other = hub.member(room), hub.member(plain)
    assert hub.feed(publications("general", 1), 40)
    assert hub.feed([Publication(room="plain", data=b"1")], 40)
    assert not hub.feed(publications("general", 2), 40)
    assert hub.gaps == [room]
    assert (hub.overflows, hub.dropped, hub.backlog) == (1, 1, 0)
    hub.feed(publications("general", 3), 40)
    hub.feed([Publication(room="plain", data=b"2")], 40)
    await deliver(hub)
    assert offsets_of(sink) == []
    hub.admit(room, answer(2, *publications("general", 1, 2)))
    await deliver(hub)
    assert offsets_of(sink) == [1, 2, 3]
    assert len(other.texts) == 1
    assert hub.backlog == 0


async def test_what_waits_for_an_entry_counts_too() -> None:
    """A room that is being entered does not gather without bound: it is then entered again."""
    hub = HubUnderTest(max_backlog=10)
    room, plain = hub.open("general"), hub.open("plain")
    hub.join(room, RecordingSink())
    hub.join(plain, RecordingSink())
    hub.enter(room)
    hub.enter(plain)
    hub.feed([Publication(room="plain", data=b"1")])
    for offset in range(1, 11):
        hub.feed(publications("general", offset))
        await deliver(hub)
    assert hub.overflows == 1
    assert hub.dropped == 1
    assert room.state is State.ENTERING_AGAIN
    assert hub.backlog == 0
    hub.feed(publications("general", 11))
    await deliver(hub)
    assert hub.backlog == 2
    hub.refuse(room)
    assert hub.backlog == 0


async def test_backlog_counts_what_is_not_written_yet() -> None:
    """What is being written still counts; what was written does not."""
    hub = HubUnderTest(slice_size=1)
    room = hub.live_room()
    for _ in range(2):
        hub.member(room)
    hub.feed(publications("general", 1), 30)
    delivery = asyncio.create_task(deliver(hub))
    await asyncio.sleep(0)
    assert hub.backlog == 30
    await delivery
    assert hub.backlog == 0


async def test_loop_gets_its_turn_between_rooms() -> None:
    """What many small rooms take together does not hold up the loop either."""
    hub = HubUnderTest(turns=TimeSlices(seconds=0.0))
    sinks = [hub.member(hub.live_room(f"room{number}")) for number in range(4)]
    for number in range(4):
        hub.feed(publications(f"room{number}", 1))
    delivery = asyncio.create_task(deliver(hub))
    progress = []
    while not delivery.done():
        await asyncio.sleep(0)
        progress.append(sum(bool(sink.texts) for sink in sinks))
    assert progress == [0, 1, 2, 3, 4]


async def test_what_is_missed_before_a_reset_is_written_is_asked_for_after_it() -> None:
    """The shard is heard again while a reset waits: one reset, and what follows comes once."""
    hub = HubUnderTest()
    room = hub.live_room()
    sink = hub.member(room)
    hub.feed(publications("general", 1, 2))
    await deliver(hub)
    hub.miss(room)
    hub.admit(room, answer(1, *publications("general", 1, epoch="k4k4k4k4"), epoch="k4k4k4k4"))
    hub.miss(room)
    assert hub.gaps == [room]  # not asked again yet: from where, is not known yet
    await deliver(hub)
    assert hub.gaps == [room, room]
    assert room.position == Position(1, "k4k4k4k4")
    hub.admit(room, answer(2, *publications("general", 2, epoch="k4k4k4k4"), epoch="k4k4k4k4"))
    await deliver(hub)
    assert offsets_of(sink) == [1, 2, 0, 1, 2]


async def test_epoch_that_is_newer_than_the_answer_is_asked_for() -> None:
    """What is heard after the question, of another epoch, began when the answer was given."""
    hub = HubUnderTest()
    room = hub.live_room()
    sink = hub.member(room)
    hub.miss(room)
    hub.ask(room)
    hub.feed(publications("general", 1, epoch="k4k4k4k4"))
    await deliver(hub)
    hub.admit(room, answer(0))
    await deliver(hub)
    assert hub.gaps == [room, room]
    hub.ask(room)
    fresh = publications("general", 1, epoch="k4k4k4k4")
    hub.admit(room, answer(1, *fresh, epoch="k4k4k4k4", recovered=False))
    await deliver(hub)
    assert offsets_of(sink) == [0, 1]


async def test_epoch_that_is_older_than_the_answer_is_the_past() -> None:
    """What was held when the shard was asked, of another epoch, is not asked for for ever."""
    hub = HubUnderTest()
    room = hub.live_room()
    sink = hub.member(room)
    hub.feed(publications("general", 1, epoch="k0k0k0k0"))
    await deliver(hub)
    hub.ask(room)
    hub.admit(room, answer(0))
    hub.feed(publications("general", 1))
    await deliver(hub)
    assert hub.gaps == [room]
    assert offsets_of(sink) == [1]


async def test_room_without_history_is_registered_again_though_its_answer_was_dropped() -> None:
    """Its shard was heard again while the answer waited, and then too much came."""
    hub = HubUnderTest(max_backlog=10)
    plain = hub.plain_room()
    hub.join(plain, RecordingSink())
    hub.miss(plain)
    hub.admit(plain, WITHOUT_HISTORY)
    hub.miss(plain)
    assert hub.gaps == [plain]
    hub.feed([Publication(room="plain", data=b"1")], 40)
    assert hub.gaps == [plain, plain]


async def test_resets_take_turns_too() -> None:
    """A server that comes back empty resets all rooms at once, and holds up no loop."""
    hub = HubUnderTest(turns=TimeSlices(seconds=0.0))
    rooms = [hub.live_room(f"room{number}") for number in range(4)]
    sinks = [hub.member(room) for room in rooms]
    for room in rooms:
        hub.miss(room)
        hub.admit(room, answer(0, epoch="k4k4k4k4"))
    progress = [sum(bool(sink.texts) for sink in sinks) for _ in hub.deliver()]
    assert progress == [0, 1, 2, 3]


@pytest.fixture
def tracer() -> Iterator[RecordingTracer]:
    """The tracer of this process."""
    with recording_tracer() as tracer:
        yield tracer


TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_tracer_is_told_once_for_each_publication_with_a_trace(
    tracer: RecordingTracer,
) -> None:
    """However many members there are; not of what has no trace, nobody here, or a broken one."""
    hub = HubUnderTest()
    room = hub.live_room()
    for _ in range(3):
        hub.member(room)
    hub.live_room("empty")
    heard = [*publications("general", 1, 2, 3), *publications("empty", 1)]
    hub.feed(heard, traces=[(1, TRACEPARENT), (2, b"00-short"), (3, TRACEPARENT), (4, b"x" * 55)])
    await deliver(hub)
    (told,) = tracer.told
    assert (told.traceparent, told.room, told.offset, told.members) == (
        TRACEPARENT,
        "general",
        2,
        3,
    )
    assert 0 <= told.seconds < 30
    hub.feed(publications("general", 4))
    await deliver(hub)
    assert len(tracer.told) == 1


async def test_ages_count_from_where_a_publication_began() -> None:
    """One value for each round whose batch says since when; a clock that is ahead counts as 0."""
    hub = HubUnderTest()
    hub.member(hub.live_room())
    hub.feed(publications("general", 1), since=time() - 5)
    await deliver(hub)
    hub.feed(publications("general", 2), since=time() + 60)
    await deliver(hub)
    hub.feed(publications("general", 3))
    await deliver(hub)
    assert sum(hub.ages.counts) == 2
    assert 5 <= hub.ages.sum < 35
