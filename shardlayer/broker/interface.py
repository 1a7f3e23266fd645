"""What the layer needs from the place where the shards are kept, by role.

    Broker      Publications: numbers them, keeps them, hands them to the nodes that joined.
    Leases      Which nodes are alive, and how many members they have.
    Queues      The messages of Channels channels, and which channels are in which groups.
    Presence    Who is in which rooms.
    Inspection  What an operator sees and clears up.

A `Backend` has all five, which the layer needs. Whoever uses one asks for the roles that it uses.
tests/contract/ tests each role by itself, so that a new broker can be built role by role; see
docs/brokers.md.

All roles share these duties:

- **Atomicity.** Every operation concerns one shard, or for publishing one bundle of shards, and is
  atomic there: it happens wholly or not at all, and no other operation is seen in its middle. What
  takes a whole server (`scan`, `flush`) is no operation of a shard, and is not atomic. Operations
  on different shards may run in any order.
- **Errors.** What can't be reached raises ShardUnavailable, and whether the operation was applied
  is then unknown. What fails for what is kept there raises ScriptFailed.
- **Repeats.** Each role says what may be repeated after ShardUnavailable.
- **Clock.** All times are the backend's own clock, never a caller's.
- **Loop.** An object is bound to the event loop in which it was made. Only `change`, `unheard` and
  `has_unheard` may be used in any thread.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from shardlayer.broker.presence_values import (
    ROLL_PAGE,
    Announced,
    Announcement,
    Attendee,
    PresencePage,
    Watch,
)
from shardlayer.broker.process_reports import ProcessReports, ServerMemory
from shardlayer.broker.values import (
    PAGE_BYTES,
    Batch,
    Census,
    JoinReply,
    JoinRequest,
    Order,
    Published,
    Queued,
)
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import (
    HistoryPage,
    Mark,
    NodeId,
    Position,
    Publication,
    RoomInfo,
    RoomSummary,
)

NO_TOTALS: Mapping[str, float] = {}


class Listener(Protocol):
    """Who hears what arrives for a node. Called on the node's event loop."""

    def arrived(self, shard: int, batch: bytes) -> None:
        """Take a packed batch (see wire.py) from the shard's inbox or all-nodes channel."""

    def resumed(self, shards: Sequence[int]) -> None:
        """Learn that these shards can be heard again; something may have been missed."""

    def lost(self, shards: Sequence[int]) -> None:
        """Learn that these shards can't be heard, or still not; it is tried on and on."""


class Role(ABC):
    """What every role has: the servers that hold the shards, and its end.

    Attributes:
        servers: An address per server, without a password.
    """

    servers: Sequence[str]

    _options: LayerOptions

    def change(self, options: LayerOptions) -> None:
        """Go by other limits for messages (`expiry`, `group_expiry`) from now on. Any thread."""
        self._options = options

    @abstractmethod
    def server_of(self, shard: int) -> int:
        """Return the index in `servers` of the server that holds a shard."""

    def unavailable(self, shard: int, reason: str = "") -> ShardUnavailable:
        """Return the error for a shard that can't be reached; it names the shard's server.

        Without a reason, it did not answer within `publish_timeout`.
        """
        reason = reason or f"no answer within {self._options.publish_timeout:g} s"
        server = self.servers[self.server_of(shard)]
        return ShardUnavailable(shard=shard, server=server, reason=reason)

    @abstractmethod
    async def aclose(self) -> None:
        """Stop listening and close every connection. Idempotent."""


class Broker(Role):
    """Publications: what every bus must do.

    `publish` numbers the publications of each group that keeps history, from 1 and without a gap,
    keeps them, and hands them to every node that joined the group. A node hears the publications of
    a group in the order of their offsets. It hears each once while its connection lasts, and none
    that were published while it could not be heard: `join` and `page` have those.

    Repeats: `publish` with the same writer and batch number is answered as the first time, and
    changes nothing, for `WRITER_TTL` after the batch. All others may be repeated as they are.
    """

    def bundle_of(self, shard: int) -> int:
        """Return the first shard of a shard's bundle: those that one call can publish to.

        Here each shard is a bundle of its own.
        """
        return shard

    def widest_bundle_of(self, shard: int) -> int:
        """Return the first shard of all that one call can publish to together with a shard.

        Bundles are smaller than they could be, because each caller waits for its own publication.
        Here there is no difference.
        """
        return self.bundle_of(shard)

    @abstractmethod
    async def publish(self, bundle: int, batch: Batch) -> Published:
        """Number, remember and hand out a batch; one that was published before is answered only.

        All of its publications are to shards of a bundle, or of a widest one, and are taken
        together or not at all.
        """

    @abstractmethod
    async def join(self, shard: int, request: JoinRequest) -> JoinReply:
        """Register a node for a group and answer where the group stands."""

    async def join_many(
        self, shard: int, requests: Sequence[JoinRequest]
    ) -> list[JoinReply | Exception]:
        """Do the same for groups of one shard, at once; one that fails fails alone.

        Raises:
            ShardUnavailable: If all of them failed since the shard can't be reached.
        """
        return [await self.join(shard, request) for request in requests]

    @abstractmethod
    async def leave(self, shard: int, node: NodeId, groups: Sequence[str]) -> None:
        """Forget that a node has members of these groups."""

    @abstractmethod
    async def positions(self, shard: int, groups: Sequence[str]) -> list[Position | None]:
        """Return where groups stand, None for one without an epoch.

        An epoch in which nothing was published lasts on: somebody is in that group.
        """

    @abstractmethod
    async def page(
        self, shard: int, group: str, limit: int, *, before: int = 0, max_bytes: int = PAGE_BYTES
    ) -> HistoryPage:
        """Return a group's newest publications, or the newest before an offset.

        At most `limit`, at most `RECOVERY_LIMIT`, and at most `max_bytes`; one that is larger comes
        alone.
        """

    async def history(self, shard: int, group: str, limit: int) -> list[Publication]:
        """Return a group's newest publications, at most `limit`, oldest first.

        They are read in pages, so that no other caller waits for all of them.
        """
        page = await self.page(shard, group, limit)
        pages = [page]
        limit -= len(page.publications)
        while page.more and limit > 0:
            first = page.publications[0]
            page = await self.page(shard, group, limit, before=first.offset)
            if page.position.epoch != first.epoch:
                break  # it was begun anew meanwhile: this is of another count
            pages.append(page)
            limit -= len(page.publications)
        return [publication for page in reversed(pages) for publication in page.publications]

    @abstractmethod
    async def marks(self, shard: int, sources: Sequence[str]) -> list[Mark | None]:
        """Return for each source what was last published of it on the shard."""

    @abstractmethod
    async def forget_marks(self, shard: int, sources: Sequence[str]) -> None:
        """Forget what was published of these sources."""

    @abstractmethod
    async def listen(self, node: NodeId, listener: Listener) -> None:
        """Begin to hear what is published for a node; returns at once, hears from then on.

        `resumed` is called for each server's shards when they can be heard, the first time too.
        """

    @property
    def unheard(self) -> Sequence[str]:
        """The addresses of servers that are listened to and can't be heard now. From any thread.

        Here there are none.
        """
        return ()

    @abstractmethod
    async def heard(self, shard: int) -> None:
        """Wait until a shard can be heard.

        Raises:
            ShardUnavailable: If the backend was closed.
        """

    async def heard_in_time(self, shard: int) -> None:
        """Wait until a shard can be heard, for `publish_timeout`.

        Raises:
            ShardUnavailable: If it could not be heard until then, or the backend was closed.
        """
        try:
            async with asyncio.timeout(self._options.publish_timeout):
                await self.heard(shard)
        except TimeoutError:
            raise self.unavailable(shard) from None


class Leases(Role):
    """Which nodes are alive, and what they say of their groups.

    A node has a lease on each shard that it hears, for `lease_ttl` after it was renewed. A join
    renews it, too. A node without one may be forgotten in its groups at any moment, and has to join
    them again.

    Repeats: all may be repeated as they are. A repeated `renew` may answer True though the lease
    had ended before the first time; the node's position checks find what it missed so.
    """

    @abstractmethod
    async def renew(self, shard: int, node: NodeId) -> bool:
        """Renew a node's lease; False if it had ended, so that its groups may be forgotten."""

    @abstractmethod
    async def withdraw(self, shard: int, node: NodeId) -> None:
        """End a node's lease now."""

    @abstractmethod
    async def report(self, shard: int, node: NodeId, members: Mapping[str, int]) -> None:
        """Store how many members a node has, per group."""


class Queues(Role):
    """Channels' side: queues of messages, who waits for them, and channels in groups.

    A channel's queue gives its messages in the order in which they were sent, each once, until
    `expiry` seconds after it was sent.

    Repeats: not `send` and `restore`, or a message may come twice, and not `receive`, or one may be
    lost. All others may be repeated as they are.

    Attributes:
        is_here: Whether the shards are in this process.
        has_unheard: See `hear`. May be read in any thread.
    """

    is_here = False
    has_unheard = False

    def hear(self) -> None:
        """Hand over at once what has arrived in this process, and would be in the loop's next turn.

        For a backend that knows; then `has_unheard` tells, in any thread, whether there is any.
        """
        return None

    @abstractmethod
    async def send(
        self, shard: int, channel: str, message: bytes, *, capacity: int, reader: str
    ) -> bool:
        """Append to a channel's queue and wake its reader; False if the queue is full.

        `reader` is the node of a process-local channel, or empty for a normal channel. Of the other
        nodes that wait for a message of the channel the one is woken that has waited longest. What
        was told to `hold` counts as in the queue.
        """

    @abstractmethod
    async def hold(self, shard: int, channel: str, count: int, ttl: float) -> None:
        """Learn how many group messages wait where a channel is received, for `ttl` seconds."""

    @abstractmethod
    async def receive(self, shard: int, channel: str, *, reader: str) -> Queued | None:
        """Take a channel's oldest message, or None.

        `reader` is the node that waits if there is none, to be woken once, or empty for a
        process-local channel of the node itself.
        """

    @abstractmethod
    async def await_messages(
        self, shard: int, channels: Sequence[str], *, reader: str
    ) -> list[str]:
        """Return in which channels' queues messages wait; for the others' `reader` waits on."""

    @abstractmethod
    async def restore(self, shard: int, channel: str, queued: Queued) -> None:
        """Put a message that was taken for nobody back at the head of a channel's queue.

        Wakes like `send`.
        """

    @abstractmethod
    async def rouse(self, shard: int, channel: str) -> None:
        """Wake the next node that waits for a channel, if a message does.

        For a node that was woken and has no receiver any more.
        """

    @abstractmethod
    async def enroll(self, shard: int, group: str, channel: str, *, node: str, add: bool) -> bool:
        """Have a node add its channel to a group, or discard it.

        The node hears it behind what was published to the group before, and before what is
        published after this returned. It is kept until the node says that it `took` it, for
        `group_expiry` at most: a node that can't hear now may come back, or stand still.

        False if it is alive, but can't hear, and as much is kept for it as may be, `ORDERS_KEPT`:
        it will not hear of it. One without a lease is taken for gone then, which is no failure.

        A discard is told while a server's memory is full, too.
        """

    @abstractmethod
    async def orders(self, shard: int, node: NodeId) -> list[Order]:
        """Return what a shard keeps that a node was told by `enroll`, in that order."""

    @abstractmethod
    async def order_clock(self, shard: int) -> int:
        """Return the time by which a shard numbers orders, in µs: what it has passed, they have."""

    @abstractmethod
    async def took(self, shard: int, node: NodeId, numbers: Collection[int]) -> None:
        """Keep these orders of a node no more."""

    @abstractmethod
    async def echo(self, shard: int, node: NodeId, token: bytes) -> bool:
        """Have a node hear a probe with a token behind all that was published until now.

        False if it can't hear, so that it will not come.
        """

    @abstractmethod
    async def attach(self, shard: int, group: str, channel: str) -> None:
        """Make a normal channel a member of a group for `group_expiry`; again prolongs it."""

    @abstractmethod
    async def detach(self, shard: int, group: str, channel: str) -> None:
        """End a normal channel's membership, if there is one."""

    @abstractmethod
    async def census(self, shard: int, group: str, question: bytes) -> Census:
        """Ask the nodes in a group for its channels; return who was asked, and what is known.

        Nodes that can't hear are not asked. The question is new each time: see group_census.py.
        """

    @abstractmethod
    async def census_answer(self, shard: int, question: bytes, node: NodeId, answer: bytes) -> None:
        """Keep a node's answer for who asked, for `CENSUS_TTL`."""

    @abstractmethod
    async def census_answers(self, shard: int, question: bytes) -> dict[NodeId, bytes]:
        """Return which nodes have answered, and what."""


class Presence(Role):
    """Who is in which rooms: what the nodes announce of their people.

    What a node announced counts until it announces otherwise, or until its lease (see Leases) is
    over and somebody has cleared it. Here a lease is over `LEASE_MARGIN` before its end, so that
    there is time to clear within it. A person with several connections to a room, on whichever
    nodes, is one person. The nodes in a room (see Broker.join) are told who comes and goes, in the
    order of the changes: see presence_news.py. Who is not `told` comes and goes silently.

    A node announces to a shard one call after another.

    Repeats: an announcement with the same number is answered as the first time, and changes
    nothing, while no later one was made. All others may be repeated as they are; but a repeated
    `clear` names only the rooms that turned with itself.
    """

    @abstractmethod
    async def announce(self, shard: int, announcement: Announcement) -> Announced:
        """Take who has come to a node's rooms and who has left them."""

    @abstractmethod
    async def watch(self, shard: int, node: NodeId, number: int) -> Watch:
        """Return whether a node's announcement of that number stands, and which nodes are gone."""

    @abstractmethod
    async def roll(
        self, shard: int, node: NodeId, *, after: Attendee | None = None, limit: int = ROLL_PAGE
    ) -> list[Attendee]:
        """Return what counts of a node: the first so many, or those after one of them."""

    @abstractmethod
    async def clear(
        self, shard: int, node: NodeId, attendees: Sequence[Attendee], *, ends: bool = False
    ) -> Announced:
        """Clear people of a node without a lease; `known` is False if it has one, and none go.

        A node that `ends` has its own cleared while it has a lease. Once nothing is left of it, it
        is forgotten: call it once more without anybody.
        """

    async def recount(self, shard: int, rooms: Sequence[str]) -> Mapping[str, bool]:
        """Put right how many people are in rooms, by what the nodes announced; return who turned.

        For a broker that keeps the counts apart, so that somebody else may remove them (see
        `Watch.miscounted`). Here nothing is to be done.
        """
        return {}

    @abstractmethod
    async def present(
        self, shard: int, room: str, *, limit: int = 0, after: str = ""
    ) -> PresencePage:
        """Return how many are in a room, and of them at most `limit` behind a person's name."""


class Inspection(Role):
    """What an operator sees, switches and clears up.

    Repeats: `claim_sweep` may say False to who repeats it though the first time it was granted.
    The totals of a repeated `report_process` may count twice. All others may be repeated as they
    are.
    """

    @abstractmethod
    async def info(self, shard: int, groups: Sequence[str]) -> list[RoomInfo]:
        """Return what is known of groups; one without members and history has zeros."""

    @abstractmethod
    async def scan(self, server: int, cursor: int, count: int) -> tuple[int, list[str]]:
        """Return the next cursor and some groups of a server; begins and ends with 0.

        A group may come twice, and about `count` keys are looked at, whatever they are.
        """

    async def survey(self, shard: int, groups: Sequence[str]) -> list[RoomSummary]:
        """Return a summary of each of many groups, in one cheap call.

        A broker that has no cheaper way inherits this, which calls `info`.
        """
        return [
            RoomSummary(
                room=room.room,
                shard=shard,
                members=room.members,
                nodes=len(room.nodes),
                people=0,
                offset=room.offset,
                epoch=room.epoch,
                idle=None,
            )
            for room in await self.info(shard, groups)
        ]

    @abstractmethod
    async def prune(self, shard: int, groups: Sequence[str]) -> int:
        """Forget nodes and normal channels that are in groups and gone; return how many."""

    async def clear_history(self, shard: int, group: str) -> bool:
        """Forget what was published to a group, and go on to count; False: not done here.

        A client that comes back to it learns that something is missing, as after the history's ttl.
        """
        return False

    @abstractmethod
    async def claim_sweep(self, server: int, seconds: float) -> bool:
        """Take on to search a server for what is gone; False if one did within these seconds."""

    @abstractmethod
    async def set_targeted(self, shard: int, percent: int) -> None:
        """Have only this percentage of the rooms told to just the nodes that have members."""

    @abstractmethod
    async def ping(self, server: int) -> float:
        """Return the seconds that a server takes to answer."""

    async def memory(self, server: int) -> ServerMemory | None:
        """Return what a server's data take; None where nobody counts that, as here."""
        return None

    async def report_process(
        self,
        shard: int,
        process: str,
        body: bytes,
        *,
        ttl: float,
        totals: Mapping[str, float] = NO_TOTALS,
    ) -> bool:
        """Keep what a process says of itself, in place of what it said before, for `ttl` seconds.

        The totals are added to those of this moment's step (see process_reports.py). False, and
        nothing is done, if MAX_REPORTS other processes' are kept. Here none are.

        Raises:
            ValueError: The report is too large, or there are too many totals.
        """
        return False

    async def forget_process(self, shard: int, process: str) -> None:
        """Forget what a process said, if it did: it ends, and is not lost."""
        return None

    async def process_reports(self, shard: int) -> ProcessReports | None:
        """Return what processes say of themselves; None where that is not kept, as here."""
        return None

    @abstractmethod
    async def flush(self, mark: bytes = b"") -> None:
        """Delete all messages, groups and histories under this layer's prefix, and nothing else.

        All nodes are then told, with `mark`, on each shard. What they hear before that is from
        before the flush. What is published after the flush they hear after it.
        """


class Backend(Broker, Leases, Queues, Presence, Inspection):
    """All five roles in one object: what a channel layer runs on."""
