"""Members that come and go while rooms are published to, forgotten, cut off and lost.

Random histories on a real server. What is begun in one step goes on in the next ones, so that joins
and publications overlap. Every member must be told a story without holes: each message comes after
the one before it in the room's numbering, or after a reset that says where the room is now; what a
reply calls recovered is all that was missed; and no two members are told different things of one
place in a numbering.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.core.frames import Broadcast
from shardlayer.core.options import PREFIX, SHARDS
from shardlayer.core.sharding import hash_tags
from shardlayer.core.types import BEGINNING, Position
from shardlayer.delivery.joined import Joined
from shardlayer.layer import ShardedChannelLayer
from shardlayer.layer.node import Node
from tests.stateful import run_machine
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

EXAMPLES = 40
STEPS = 30
PROCESSES = st.integers(0, 1)
ROOMS = st.sampled_from(["a", "b"])
TURNS = st.integers(0, 12)  # of the loop, in which what was begun goes on


class Place(NamedTuple):
    """A place in one life of a room's numbering."""

    room: str
    epoch: str
    offset: int


class Member:
    """One client's story, as it is told: its reply, then its pushes."""

    def __init__(self, room: str, since: Position | None) -> None:
        self.room = room
        self.at: Position | None = None
        self.got: dict[Place, int] = {}
        self.troubles: list[str] = []
        self._since = since

    def begin(self, joined: Joined) -> None:
        """Take the reply."""
        position, since = joined.position, self._since
        assert position is not None
        offsets = [publication.offset for publication in joined.publications]
        if joined.recovered:
            assert since is not None
            if since.epoch not in ("", position.epoch):
                self.troubles.append(f"{since} recovered in {position}")
            if offsets != list(range(since.offset + 1, position.offset + 1)):
                self.troubles.append(f"{offsets} called all from {since} to {position}")
        elif offsets != sorted(set(offsets)) or offsets[-1:] not in ([], [position.offset]):
            self.troubles.append(f"{offsets} on the way to {position}")
        for publication in joined.publications:
            self._take(Position(offset=publication.offset, epoch=position.epoch), publication.data)
        self.at = position

    def write(self, broadcast: Broadcast) -> None:
        for text in broadcast.texts:
            push = orjson.loads(text)
            if "reset" in push:
                self.at = Position(**push["reset"])
            elif self.at is None:
                self.troubles.append(f"{push} before the reply")
            else:
                here = Position(offset=push["offset"], epoch=self.at.epoch)
                if here.offset != self.at.offset + 1:
                    self.troubles.append(f"{push} after {self.at}")
                self._take(here, orjson.dumps(push["data"]))
                self.at = here

    def close(self, code: int, reason: str = "") -> None:
        self.troubles.append(f"closed with {code}")

    def _take(self, here: Position, data: bytes) -> None:
        place = Place(self.room, here.epoch, here.offset)
        if place in self.got:
            self.troubles.append(f"{place} twice")
        self.got[place] = int(data)


class Recovery(RuleBasedStateMachine):
    """Two processes' nodes on one server, and everybody who was ever a member there."""

    url: str  # of the server

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.published = 0
        self.acknowledged: dict[Place, int] = {}
        self.everybody: list[Member] = []
        self.present: list[tuple[Node, Member]] = []
        self.left: list[tuple[str, Position]] = []
        self.tasks: list[asyncio.Task[None]] = []

    @initialize()
    def begin(self) -> None:
        self.redis = Redis.from_url(self.url)
        self.redis.flushall()
        # Connections are cut again and again here, and a busy machine makes new ones slowly.
        patient = {"hosts": [self.url], "publish_timeout": PATIENCE / 2}
        self.layers = [ShardedChannelLayer(**patient) for _ in range(2)]
        self.nodes = [self.runner.run(layer.node()) for layer in self.layers]

    def teardown(self) -> None:
        with self.runner:
            if hasattr(self, "layers"):
                try:
                    self.settle()
                finally:
                    for layer in self.layers:
                        self.runner.run(layer.close())
                    self.redis.close()

    @rule(process=PROCESSES, room=ROOMS, turns=TURNS)
    def join(self, process: int, room: str, turns: int) -> None:
        self.start(self.become_member(process, room, None), turns)

    @rule(process=PROCESSES, room=ROOMS, turns=TURNS)
    def join_from_the_beginning(self, process: int, room: str, turns: int) -> None:
        self.start(self.become_member(process, room, BEGINNING), turns)

    @rule(process=PROCESSES, which=st.integers(0, 99), turns=TURNS)
    def come_back(self, process: int, which: int, turns: int) -> None:
        if self.left:
            room, since = self.left[which % len(self.left)]
            self.start(self.become_member(process, room, since), turns)

    @rule(which=st.integers(0, 99))
    def leave(self, which: int) -> None:
        if self.present:
            node, member = self.present.pop(which % len(self.present))
            assert member.at is not None
            self.left.append((member.room, member.at))
            self.runner.run(self._leave(node, member))

    @rule(process=PROCESSES, room=ROOMS, count=st.integers(1, 4), turns=TURNS)
    def publish(self, process: int, room: str, count: int, turns: int) -> None:
        for _ in range(count):
            self.start(self.publish_one(process, room), 0)
        self.let_go_on(turns)

    @rule(turns=TURNS)
    def let_go_on(self, turns: int) -> None:
        self.runner.run(self._take_turns(turns))

    @rule(room=ROOMS, keep=st.integers(0, 2))
    def window_ends(self, room: str, keep: int) -> None:
        """The history's ttl is over, or its size."""
        keys = self.keys_of(room)
        if keep:
            self.redis.xtrim(keys.history(room), maxlen=keep, approximate=False)
        else:
            self.redis.delete(keys.history(room))

    @rule(room=ROOMS)
    def room_is_forgotten(self, room: str) -> None:
        """Its meta_ttl is over, or its epoch's."""
        keys = self.keys_of(room)
        self.redis.delete(keys.meta(room), keys.history(room))

    @rule(turns=TURNS)
    def connections_are_cut(self, turns: int) -> None:
        self.redis.client_kill_filter(_type="pubsub")
        self.let_go_on(turns)

    @rule(process=PROCESSES, room=ROOMS, count=st.integers(1, 4), keep=st.integers(0, 2))
    def window_ends_while_nobody_hears(
        self, process: int, room: str, count: int, keep: int
    ) -> None:
        """Connections are made again only after a pause, in which all this happens."""
        self.connections_are_cut(0)
        for _ in range(count):
            self.runner.run(self.publish_one(process, room))
        self.window_ends(room, keep)

    @rule(process=PROCESSES, turns=TURNS)
    def node_is_forgotten(self, process: int, turns: int) -> None:
        """As if it had frozen for longer than its lease; going on, it renews that first of all."""
        node = self.nodes[process]
        for room in ("a", "b"):
            keys = self.keys_of(room)
            self.redis.zrem(keys.alive, node.id)
            self.redis.hdel(keys.nodes(room), node.id)
        self.start(node._leases.renew(), turns)

    @rule(turns=TURNS)
    def server_starts_anew(self, turns: int) -> None:
        """It loses everything, and all connections."""
        self.redis.flushall()
        self.redis.script_flush()
        self.redis.client_kill_filter(skipme=True, _type="normal")
        self.redis.client_kill_filter(_type="pubsub")
        self.let_go_on(turns)

    @rule()
    def settle(self) -> None:
        """All that was begun ends, and then each member is where its room is."""
        self.runner.run(self._settle())
        told: dict[Place, int] = dict(self.acknowledged)
        for member in self.everybody:
            assert not member.troubles, member.troubles
            for place, number in member.got.items():
                assert told.setdefault(place, number) == number, place

    # What the steps are made of

    def start(self, work: Coroutine[Any, Any, None], turns: int) -> None:
        async def begin() -> None:
            self.tasks.append(asyncio.create_task(work))
            await self._take_turns(turns)

        self.runner.run(begin())

    async def become_member(self, process: int, room: str, since: Position | None) -> None:
        member = Member(room, since)
        self.everybody.append(member)
        joined = await self.nodes[process].join(room, member, since)
        member.begin(joined)
        joined.release()
        self.present.append((self.nodes[process], member))

    async def publish_one(self, process: int, room: str) -> None:
        self.published += 1
        number = self.published
        position = await self.layers[process].publish(room, b"%d" % number)
        assert position is not None
        place = Place(room, position.epoch, position.offset)
        assert self.acknowledged.setdefault(place, number) == number

    async def _leave(self, node: Node, member: Member) -> None:
        node.leave(member.room, member)

    async def _take_turns(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    async def _settle(self) -> None:
        tasks, self.tasks = self.tasks, []
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*tasks)
        for room in ("a", "b"):
            await self.publish_one(0, room)
            last = list(self.acknowledged)[-1]
            members = [member for _, member in self.present if member.room == room]
            await until(lambda: all(last in member.got for member in members), PATIENCE)  # noqa: B023

    def keys_of(self, room: str) -> ShardKeys:
        return ShardKeys(hash_tags(PREFIX, SHARDS)[self.layers[0].shard_of(room)])


def test_every_member_is_told_a_story_without_holes(redis_server: EmbeddedValkey) -> None:
    """40 histories of 30 steps each."""

    class Machine(Recovery):
        url = redis_server.url

    run_machine(Machine, examples=EXAMPLES, steps=STEPS)
