"""Has the shards know which groups a node is in, and asks them where those groups stand.

A group is registered when its first member joins, and left a while after its last one has gone (see
idle_rooms.py). Joining also renews the node's lease on the shard, and tells whether it had ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from shardlayer.aio.tasks import Tasks
from shardlayer.broker.interface import Broker
from shardlayer.broker.publisher import new_epoch
from shardlayer.broker.values import PAGE, JoinReply, JoinRequest, Page
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import NodeId, Position
from shardlayer.delivery.leases import NodeLeases

RETRY_PAUSE = 0.2  # seconds between two tries to register a group


class Registration:
    """Registers one node for groups.

    Args:
        node: The node.
        broker: Where the groups are.
        leases: The node's, which each join renews.
        options: The layer's options.
        tasks: Of the node.
    """

    def __init__(
        self,
        node: NodeId,
        broker: Broker,
        leases: NodeLeases,
        options: LayerOptions,
        *,
        tasks: Tasks,
    ) -> None:
        self._node = node
        self._broker = broker
        self._leases = leases
        self._options = options
        self._tasks = tasks.branch()
        self._leaving: dict[tuple[int, str], asyncio.Task[None]] = {}

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
                await self._broker.heard(shard)
                while (leaving := self._leaving.get((shard, group))) is not None:
                    await asyncio.wait([leaving])  # or it would undo what is now done
                while True:
                    had_lease = self._leases.holds(shard)
                    try:
                        reply = await self._broker.join(shard, request)
                        break
                    except ShardUnavailable as error:
                        failure = error
                        await asyncio.sleep(RETRY_PAUSE)
        except TimeoutError:
            raise failure or self._broker.unavailable(shard) from None
        self._leases.renewed(shard, had_lapsed=had_lease and not reply.leased)
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
        await self._broker.heard_in_time(shard)
        had_lease = self._leases.holds(shard)
        replies = await self._broker.join_many(shard, requests)
        leases = [reply.leased for reply in replies if isinstance(reply, JoinReply)]
        if leases:
            self._leases.renewed(shard, had_lapsed=had_lease and not all(leases))
        return replies

    def leave(self, shard: int, groups: Sequence[str]) -> asyncio.Task[None]:
        """Begin to have a shard forget that the node is in groups; who joins one waits for that.

        Should it fail, the publish script goes on telling the node, which drops what it hears.
        """
        task = self._tasks.start(
            self._broker.leave(shard, self._node, groups), f"{self._node} leaves groups"
        )
        left = [(shard, group) for group in groups]
        self._leaving.update(dict.fromkeys(left, task))
        task.add_done_callback(partial(self._left, left))
        return task

    def _left(self, left: Sequence[tuple[int, str]], task: asyncio.Task[None]) -> None:
        for group in left:
            if self._leaving.get(group) is task:
                del self._leaving[group]

    def unavailable(self, shard: int, reason: str) -> ShardUnavailable:
        """Return the error for a shard that is not asked any more."""
        return self._broker.unavailable(shard, reason)

    async def aclose(self) -> None:
        """Stop leaving groups."""
        await self._tasks.aclose()

    def _request(
        self,
        group: str,
        members: int,
        since: Position | None,
        page: Page,
        *,
        returns: bool = False,
    ) -> JoinRequest:
        policy = self._options.policy_of(group)
        return JoinRequest(
            node=self._node,
            group=group,
            members=members,
            keeps=policy.keeps,
            latest=policy.latest,
            since=since,
            epoch=new_epoch(),
            returns=returns,
            page=page,
        )
