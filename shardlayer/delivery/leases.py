"""Keeps the shards' registries true about one node: its leases, its groups, its members.

A lease is one entry per shard, so renewing costs the same with ten rooms or 100,000. A group is
registered when its first member joins and forgotten a short while after its last one left, so that
a client that comes and goes costs no round trips. Member counts are for people (the admin, the
command line), never for routing, and are reported every few seconds for the groups that changed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

from shardlayer.aio.tasks import Tasks
from shardlayer.broker.interface import Backend
from shardlayer.broker.publisher import new_epoch
from shardlayer.broker.values import PAGE, JoinReply, JoinRequest, Page
from shardlayer.core.exceptions import ShardLayerError, ShardUnavailable
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import NodeId, Position

logger = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 3  # so that one that fails loses no lease
RETRY_PAUSE = 0.2  # seconds between two tries to register a group


class Registry:
    """Registers one node with all shards.

    Args:
        node: The node.
        backend: Where the registries are.
        options: The layer's options.
        on_lapsed: Called with shards whose lease had ended, so that their groups may be forgotten.
        on_idle: Called with a shard and a group that lingered without members; returns whether
            it still has none and was given up, or None if there is nothing to give up.
        count: Returns how many members a group of a shard has.
        tasks: Of the node.
    """

    def __init__(
        self,
        node: NodeId,
        backend: Backend,
        options: LayerOptions,
        *,
        on_lapsed: Callable[[Sequence[int]], None],
        on_idle: Callable[[int, str], bool | None],
        count: Callable[[int, str], int],
        tasks: Tasks,
    ) -> None:
        self._node = node
        self._backend = backend
        self._options = options
        self._on_lapsed = on_lapsed
        self._on_idle = on_idle
        self._count = count
        self._changed: set[tuple[int, str]] = set()
        self._idle: dict[tuple[int, str], float] = {}
        self._leased: set[int] = set()
        self._leaving: dict[tuple[int, str], asyncio.Future[None]] = {}
        self._tasks = tasks.branch()
        self._first_leases: set[asyncio.Task[None]] = set()
        self._renewals: dict[int, asyncio.Task[None]] = {}  # by server, while they are under way
        self._renewal_error: BaseException | None = None  # of the renewals since the last round
        self._untried = set(range(options.shards))
        self._all_tried = asyncio.Event()
        self._closed = False

    def start(self) -> None:
        """Begin to renew, to report and to forget, in tasks that `aclose` ends."""
        interval = self._options.lease_ttl / RENEWALS_PER_LEASE
        self._every(interval, self._renew_on, "renew leases")
        self._every(self._options.members_interval, self.report, "report members")
        self._every(self._options.linger / 2, self._forget_idle, "forget idle rooms")

    async def join(
        self,
        shard: int,
        group: str,
        *,
        members: int,
        since: Position | None,
        page: Page = PAGE,
    ) -> JoinReply:
        """Register the node for a group, trying for `publish_timeout`.

        The answer has a `page` of what was published since then.

        Raises:
            ShardUnavailable: If the shard could not be heard or did not answer until then.
        """
        request = self._request(group, members, since, page)
        failure: ShardUnavailable | None = None
        try:
            async with asyncio.timeout(self._options.publish_timeout):
                # Heard first, then registered: what is published after the answer arrives.
                await self._backend.heard(shard)
                while (leaving := self._leaving.get((shard, group))) is not None:
                    await asyncio.wait([leaving])  # or it would undo what is now done
                while True:
                    had_lease = shard in self._leased
                    try:
                        reply = await self._backend.join(shard, request)
                        break
                    except ShardUnavailable as error:
                        failure = error
                        await asyncio.sleep(RETRY_PAUSE)
        except TimeoutError:
            raise failure or self.unavailable(shard) from None
        self._note_lease(shard, has_lapsed=had_lease and not reply.leased)
        return reply

    async def enter_again(
        self, shard: int, groups: Sequence[tuple[str, int, Position | None]], page: Page
    ) -> list[JoinReply | Exception]:
        """Register the node again for groups of a shard, in one write.

        Each comes with the number of its members and where they are, and has an answer, with a
        `page` of what was published after that, or what it raised.

        Raises:
            ShardUnavailable: If the shard could not be heard or did not answer in time.
        """
        requests = [
            self._request(group, members, since, page, returns=True)
            for group, members, since in groups
        ]
        try:
            async with asyncio.timeout(self._options.publish_timeout):
                await self._backend.heard(shard)
        except TimeoutError:
            raise self.unavailable(shard) from None
        had_lease = shard in self._leased
        replies = await self._backend.join_many(shard, requests)
        leases = [reply.leased for reply in replies if isinstance(reply, JoinReply)]
        if leases:
            self._note_lease(shard, has_lapsed=had_lease and not all(leases))
        return replies

    def _request(
        self,
        group: str,
        members: int,
        since: Position | None,
        page: Page,
        *,
        returns: bool = False,
    ) -> JoinRequest:
        return JoinRequest(
            node=self._node,
            group=group,
            members=members,
            keeps=self._options.policy_of(group).keeps,
            since=since,
            epoch=new_epoch(),
            returns=returns,
            page=page,
        )

    def _note_lease(self, shard: int, *, has_lapsed: bool) -> None:
        if has_lapsed:
            self._on_lapsed([shard])
        self._leased.add(shard)

    def lease(self, shards: Sequence[int]) -> None:
        """Begin a lease on shards that can be heard for the first time, unless closed."""
        if self._closed:
            return  # nobody would end it: it would outlive the node, and the task its loop
        task = self._tasks.supervise(lambda: self._renew(shards), f"first leases of {self._node}")
        self._first_leases.add(task)
        task.add_done_callback(self._first_leases.discard)

    def tried(self, shards: Iterable[int]) -> None:
        """Note that it was tried to hear these shards, with whatever result."""
        self._untried.difference_update(shards)
        if not self._untried:
            self._all_tried.set()

    async def settled(self, shard: int) -> None:
        """Wait until a shard can be heard and all that can have a lease, for `publish_timeout`.

        Then other processes may add this node's channels to groups of whichever shard.

        Raises:
            ShardUnavailable: If it could not be heard until then.
        """
        try:
            async with asyncio.timeout(self._options.publish_timeout):
                await self._backend.heard(shard)
        except TimeoutError:
            raise self.unavailable(shard) from None
        # Another shard that can't be tried at all is no reason to fail.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.publish_timeout):
                await self._all_tried.wait()
                if self._first_leases:
                    await asyncio.wait(self._first_leases)

    def changed(self, shard: int, group: str, members: int) -> None:
        """Note that a group's members changed; without any it is forgotten after the linger."""
        self._changed.add((shard, group))
        if members == 0:
            loop = asyncio.get_running_loop()
            self._idle[shard, group] = loop.time() + self._options.linger
        else:
            self._idle.pop((shard, group), None)

    def forget(self, shard: int, group: str) -> None:
        """Note that a group was forgotten, here and in its shard."""
        self._idle.pop((shard, group), None)
        self._changed.discard((shard, group))

    async def renew(self) -> None:
        """Renew the node's leases, one pipelined write per server."""
        self._begin_renewals()
        if self._renewals:
            await asyncio.wait(self._renewals.values())

    async def _renew_on(self) -> None:
        self._begin_renewals()
        error, self._renewal_error = self._renewal_error, None
        if error is not None:
            raise error  # of the last round: this one's renewals are under way

    def _begin_renewals(self) -> None:
        """Renew on each server by itself: one that hangs must not cost the leases on the others."""
        by_server: dict[int, list[int]] = {}
        for shard in sorted(self._leased):
            by_server.setdefault(self._backend.server_of(shard), []).append(shard)
        for server, shards in by_server.items():
            if server not in self._renewals:  # else it hangs, and would hold up this one too
                task = self._tasks.start(
                    self._renew_and_tell(shards), f"renew leases of {self._node}"
                )
                self._renewals[server] = task
                task.add_done_callback(partial(self._renewed, server))

    def _renewed(self, server: int, task: asyncio.Task[None]) -> None:
        del self._renewals[server]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._renewal_error = error

    async def _renew_and_tell(self, shards: Sequence[int]) -> None:
        lapsed = await self._renew(shards)
        if lapsed:
            logger.warning("The lease of %s had ended on shards %s", self._node, lapsed)
            self._on_lapsed(lapsed)

    async def _renew(self, shards: Sequence[int]) -> list[int]:
        self._leased.update(shards)  # whatever comes of it now: it is tried again
        answers = await self._gather(self._backend.renew(shard, self._node) for shard in shards)
        return [shard for shard, leased in zip(shards, answers, strict=True) if leased is False]

    async def report(self) -> None:
        """Store the member counts of the groups that changed since the last report."""
        changed, self._changed = self._changed, set()
        by_shard: dict[int, dict[str, int]] = {}
        for shard, group in changed:
            members = self._count(shard, group)
            if members:
                by_shard.setdefault(shard, {})[group] = members
        shards = list(by_shard)
        answers = await self._gather(
            self._backend.report(shard, self._node, by_shard[shard]) for shard in shards
        )
        for shard, answer in zip(shards, answers, strict=True):
            if isinstance(answer, ShardUnavailable):
                self._changed.update((shard, group) for group in by_shard[shard])

    async def withdraw(self) -> None:
        """End the node's leases, as far as the shards can be reached."""
        await self._gather(
            self._backend.withdraw(shard, self._node) for shard in sorted(self._leased)
        )
        self._leased.clear()

    async def aclose(self) -> None:
        """Stop renewing, reporting and forgetting."""
        self._closed = True
        await self._tasks.aclose()

    def unavailable(self, shard: int, *, reason: str = "") -> ShardUnavailable:
        """Return the error for a shard that did not answer within `publish_timeout`."""
        server = self._backend.servers[self._backend.server_of(shard)]
        reason = reason or f"no answer within {self._options.publish_timeout:g} s"
        return ShardUnavailable(shard=shard, server=server, reason=reason)

    async def _forget_idle(self) -> None:
        now = asyncio.get_running_loop().time()
        by_shard: dict[int, list[str]] = {}
        for (shard, group), ends in list(self._idle.items()):
            if ends > now:
                continue
            was_given_up = self._on_idle(shard, group)
            if was_given_up is not False:  # else it can't be yet
                del self._idle[shard, group]
            if was_given_up:
                self._leaving[shard, group] = asyncio.get_running_loop().create_future()
                by_shard.setdefault(shard, []).append(group)
        # Should this fail, the publish script goes on telling the node, which drops what it hears.
        await self._gather(self._leave(shard, groups) for shard, groups in by_shard.items())

    async def _leave(self, shard: int, groups: Sequence[str]) -> None:
        try:
            await self._backend.leave(shard, self._node, groups)
        finally:
            for group in groups:
                self._leaving.pop((shard, group)).set_result(None)

    async def _gather(
        self, calls: Iterable[Awaitable[bool | None]]
    ) -> list[bool | ShardLayerError | None]:
        """Run calls to several shards side by side; one that fails stops no other."""
        answers = await asyncio.gather(*calls, return_exceptions=True)
        known: list[bool | ShardLayerError | None] = []
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, ShardLayerError):
                raise answer
            known.append(answer)
        return known

    def _every(self, interval: float, work: Callable[[], Awaitable[None]], name: str) -> None:
        self._tasks.repeat(work, f"{name} of {self._node}", pause=lambda: interval)
