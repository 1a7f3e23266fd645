"""The states of a room, and what its members are written whatever moves it in whatever order."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import orjson
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shardlayer.aio.time_slices import TimeSlices
from shardlayer.broker.values import JoinReply
from shardlayer.core.frames import Broadcast
from shardlayer.core.types import Position, Publication
from shardlayer.delivery.arrivals import size_of
from shardlayer.delivery.gate import Gate
from shardlayer.delivery.hub import Hub
from shardlayer.delivery.room import ASKED, TRANSITIONS, Event, IllegalMove, LocalRoom, State
from tests.stateful import run_machine

EXAMPLES, STEPS = 300, 60
PAGE = 2  # publications that one answer has
MAX_BACKLOG = 60  # bytes, of publications with 8 each

NAMES = st.sampled_from(["a", "b", "plain"])
WHICH = st.integers(0, 99)
FEW = st.integers(1, 4)


def test_every_state_is_in_the_table_and_can_be_come_to() -> None:
    """No state is forgotten, and none stands there for nothing."""
    assert set(TRANSITIONS) == set(State)
    reached = {State.NEW}
    for _ in State:
        reached |= {after for state in reached for after in TRANSITIONS[state].values()}
    assert reached == set(State)


def test_move_that_is_not_in_the_table_raises() -> None:
    """A room that is new has no answer to write, and one that was forgotten does nothing more."""
    room = LocalRoom("general")
    with pytest.raises(IllegalMove, match="general is NEW, where WRITE has no meaning"):
        room.move(Event.WRITE)
    room.move(Event.FORGET)
    for event in Event:
        with pytest.raises(IllegalMove):
            room.move(event)
    assert room.state is State.FORGOTTEN


@pytest.mark.parametrize("state", State)
def test_whatever_is_missed_is_asked_for(state: State) -> None:
    """From each state in which something was missed the next live one comes after a question."""
    if Event.MISS not in TRANSITIONS[state] or state is State.NEW:
        return
    after = TRANSITIONS[state][Event.MISS]
    if after in (State.ENTERING_AGAIN, State.HEALING_AGAIN):
        after = TRANSITIONS[after][Event.ANSWER]
    if after is State.ADMITTED_AGAIN:
        after = TRANSITIONS[after][Event.WRITE]
    assert after is State.HEALING


@dataclass
class Shard:
    """One room as its server has it."""

    name: str
    keeps: bool
    lives: int = 1
    offset: int = 0
    history: list[Publication] = field(default_factory=list)

    @property
    def epoch(self) -> str:
        return f"epoch{self.lives:03}"

    @property
    def position(self) -> Position:
        return Position(self.offset, self.epoch)

    def publish(self, number: int) -> Publication:
        self.offset += 1
        data = b"%08d" % (10_000_000 + number)
        if not self.keeps:
            return Publication(self.name, data)
        self.history.append(Publication(self.name, data, self.offset, self.epoch))
        return self.history[-1]

    def answer(self, since: Position | None) -> JoinReply:
        """Answer as the script does: the oldest that follow `since`, a page of them."""
        if not self.keeps:
            return JoinReply(leased=True, position=None, recovered=False, publications=[])
        known = since is not None and since.epoch == self.epoch and since.offset <= self.offset
        floor = since.offset if since is not None and known else 0
        missed = [kept for kept in self.history if kept.offset > floor] if since else []
        recovered = known and (missed[0].offset == floor + 1 if missed else floor == self.offset)
        return JoinReply(
            leased=True,
            position=self.position,
            recovered=recovered,
            publications=missed[:PAGE],
            start=missed[0].offset - 1 if missed else self.offset,
        )


class Member:
    """One client's story: its reply, then its pushes."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.at: Position | None = None
        self.told: list[int] = []  # numbers
        self.resets = 0
        self.has_reply = False
        self.losses = 0  # there were, when it joined
        self.gate: Gate | None = None
        self.reply: Position | None = None

    def begin(self) -> None:
        """Write the reply, and let pushes through."""
        assert self.gate is not None
        self.at, self.has_reply = self.reply, True
        self.gate.open(self.reply)

    def write(self, broadcast: Broadcast) -> None:
        assert self.has_reply, "a push before the reply"
        for text in broadcast.texts:
            push = orjson.loads(text)
            if "reset" in push:
                self.resets += 1
                self.at = Position(**push["reset"])
                continue
            if self.shard.keeps:
                assert self.at is not None
                assert push["offset"] == self.at.offset + 1, f"{push} after {self.at}"
                self.at = Position(push["offset"], self.at.epoch)
            number = push["data"]
            assert not self.told or number > self.told[-1], f"{number} after {self.told}"
            self.told.append(number)

    def close(self, code: int, reason: str = "") -> None:
        raise AssertionError("nobody is closed here")


@dataclass
class Question:
    """What the shard was asked, and its answer once it was executed there."""

    room: LocalRoom
    answer: JoinReply | None = None


class Rooms(RuleBasedStateMachine):
    """A hub among all that can happen around it, and what it must come to."""

    def __init__(self) -> None:
        super().__init__()
        self.shards = {name: Shard(name, keeps=name != "plain") for name in ("a", "b", "plain")}
        self.hub = Hub(
            slice_size=1,
            write_bytes=20,
            max_backlog=MAX_BACKLOG,
            turns=TimeSlices(seconds=0.0),
            on_doubt=self.doubt,
        )
        self.questions: dict[str, Question] = {}
        self.wire: list[Publication] = []
        self.is_connected = True
        self.published = 0
        self.losses = dict.fromkeys(self.shards, 0)
        self.members: list[Member] = []
        self.delivery: Generator[None, None, None] | None = None

    def doubt(self, room: LocalRoom) -> None:
        assert room.name not in self.questions
        self.hub.ask(room)
        self.questions[room.name] = Question(room)

    # Members

    @rule(name=NAMES, knows=st.booleans())
    def join(self, name: str, knows: bool) -> None:
        shard, member = self.shards[name], Member(self.shards[name])
        member.losses = self.losses[name]
        room = self.hub.open(name)
        member.gate = self.hub.join(room, member)
        self.members.append(member)
        if room.state is State.NEW:
            self.hub.enter(room)
            self.questions[name] = Question(room)
        elif room.state not in (State.ENTERING, State.ENTERING_AGAIN):
            # Answered from memory; or by the shard, which may be ahead of the room.
            member.reply = shard.position if knows and shard.keeps else room.position

    @rule(which=WHICH)
    def reply_is_written(self, which: int) -> None:
        ready = [
            member
            for member in self.members
            if not member.has_reply and (member.reply is not None or self.is_entered(member))
        ]
        if ready:
            ready[which % len(ready)].begin()

    def is_entered(self, member: Member) -> bool:
        room = self.hub.rooms[member.shard.name]
        return not member.shard.keeps and room.state not in (
            State.NEW,
            State.ENTERING,
            State.ENTERING_AGAIN,
        )

    @rule(which=WHICH)
    def leave(self, which: int) -> None:
        if self.members:
            member = self.members.pop(which % len(self.members))
            self.hub.leave(member.shard.name, member)

    @rule(name=NAMES)
    def forget(self, name: str) -> None:
        room = self.hub.rooms.get(name)
        if room is not None and not len(room) and room.state not in ASKED:
            self.hub.forget(room)

    # What is published, and how it is heard

    @rule(name=NAMES, count=FEW)
    def publish(self, name: str, count: int) -> None:
        for _ in range(count):
            self.published += 1
            publication = self.shards[name].publish(self.published)
            if self.is_connected:
                self.wire.append(publication)

    @rule(count=FEW)
    def hear(self, count: int) -> None:
        heard, self.wire = self.wire[:count], self.wire[count:]
        if heard:
            self.hub.feed(heard, size_of(heard))

    @rule(which=WHICH)
    def lose_on_the_way(self, which: int) -> None:
        if self.wire:
            self.wire.pop(which % len(self.wire))

    @rule()
    def shard_is_lost(self) -> None:
        self.is_connected = False
        self.wire.clear()

    @rule()
    def shard_is_resumed(self) -> None:
        self.is_connected = True
        for room in list(self.hub.rooms.values()):
            self.hub.miss(room)

    @rule(name=NAMES, keep=st.integers(0, 2))
    def window_ends(self, name: str, keep: int) -> None:
        shard = self.shards[name]
        shard.history = shard.history[len(shard.history) - keep :] if keep else []
        self.losses[name] += 1

    @rule(name=NAMES)
    def numbering_begins_anew(self, name: str) -> None:
        shard = self.shards[name]
        shard.lives, shard.offset, shard.history = shard.lives + 1, 0, []
        self.losses[name] += 1

    # Questions and answers

    @rule(name=NAMES)
    def question_is_executed(self, name: str) -> None:
        question = self.questions.get(name)
        if question is not None:
            question.answer = self.shards[name].answer(question.room.position)

    @rule(name=NAMES)
    def question_is_repeated(self, name: str) -> None:
        question = self.questions.get(name)
        if question is not None:
            self.hub.ask(question.room)
            question.answer = None

    @rule(name=NAMES)
    def answer_arrives(self, name: str) -> None:
        question = self.questions.get(name)
        if question is None or question.answer is None:
            return
        del self.questions[name]
        self.hub.admit(question.room, question.answer)
        for member in self.members:
            if member.shard.name == name and not member.has_reply and member.reply is None:
                member.reply = question.room.position

    @rule(name=NAMES)
    def first_question_fails(self, name: str) -> None:
        question = self.questions.get(name)
        if question is None or question.room.state not in (State.ENTERING, State.ENTERING_AGAIN):
            return
        del self.questions[name]
        self.hub.refuse(question.room)
        for member in [member for member in self.members if member.shard.name == name]:
            self.members.remove(member)
            self.hub.leave(name, member)

    @rule(name=NAMES)
    def doubt_without_reason(self, name: str) -> None:
        room = self.hub.rooms.get(name)
        if room is not None:
            self.hub.miss(room)

    # Delivery

    @rule(steps=st.integers(1, 8))
    def deliver(self, steps: int) -> None:
        if self.delivery is None:
            self.delivery = self.hub.deliver()
        for _ in range(steps):
            try:
                next(self.delivery)
            except StopIteration:
                self.delivery = None
                return

    @invariant()
    def sums_are_right(self) -> None:
        hub = self.hub
        held = [publication for room in hub.rooms.values() for publication in room.held]
        assert hub._held_size == size_of(held)
        assert hub._waiting_size == sum(arrived.size for arrived in hub._waiting)
        assert hub.members == sum(map(len, hub.rooms.values()))
        for name, room in hub.rooms.items():
            assert (room.state in ASKED) == (name in self.questions)
            answers = sum(arrived.room is room for arrived in hub._waiting)
            assert answers == (room.state in (State.ADMITTED, State.ADMITTED_AGAIN))
            assert not room.held or room.state not in (State.NEW, State.LIVE)

    def teardown(self) -> None:
        """Whatever happened: once everything is answered and written, each member is up to date."""
        self.shard_is_resumed()
        # What was lost on its way, and nothing follows: the check of positions finds that.
        for _ in range(2):
            self.go_on_to_the_end()
            for name, room in self.hub.rooms.items():
                if room.state is State.LIVE and room.position != self.shards[name].position:
                    self.hub.miss(room)
        self.go_on_to_the_end()
        for member in self.members:
            assert member.has_reply
            if member.shard.keeps:
                assert member.at == member.shard.position
            assert member.resets <= self.losses[member.shard.name] - member.losses + 1
            if not self.losses[member.shard.name]:
                assert not member.resets

    def go_on_to_the_end(self) -> None:
        for _ in range(1_000):
            if not (self.wire or self.questions or self.hub.backlog or self.delivery):
                break
            self.hear(2)
            for name in list(self.questions):
                self.question_is_executed(name)
                self.answer_arrives(name)
            self.deliver(100)
        else:
            raise AssertionError("it asks and asks")
        self.deliver(100)
        for _ in list(self.members):
            self.reply_is_written(0)


def test_members_are_told_stories_without_holes() -> None:
    """300 histories of 60 steps: nothing is lost silently, comes twice or out of order."""
    run_machine(Rooms, examples=EXAMPLES, steps=STEPS)
