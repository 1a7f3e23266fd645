"""The mailboxes of one node: where its loop receives Channels channels.

A mailbox lives while a receiver or a group holds it. Two kinds are kept longer, until nobody has
received for so long that all messages have expired: those whose channel this node named, and those
in which messages wait.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from weakref import WeakValueDictionary

from shardlayer.aio.tasks import Tasks
from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.broker.interface import Queues
from shardlayer.broker.values import Queued
from shardlayer.channels.mailbox import Claimed, Mailbox
from shardlayer.channels.pending import NOTHING_HELD
from shardlayer.core.channel_names import is_process_local, node_of
from shardlayer.core.exceptions import ShardLayerError, ShardUnavailable, UndecodableMessage
from shardlayer.core.options import LayerOptions
from shardlayer.core.serializers import Serializer
from shardlayer.core.sharding import shard_of
from shardlayer.core.types import NodeId

logger = logging.getLogger(__name__)

JITTER = 0.25  # of the interval of queue checks
OVER_LOOK = 1.0  # seconds between two looks whether `claim_until` is over
CHANNELS_PER_CALL = 200  # whose queues are looked at
CLOSED = "the layer was closed"  # why receivers receive nothing more
SWEPT_AT = 1_000  # mailboxes that are kept when the first of them are looked at


class Mailboxes:
    """The mailboxes of one node, by channel. Not thread-safe.

    Args:
        node: Whose they are.
        queues: Where what waits for their channels is.
        options: The layer's.
        tasks: Of the node.

    Attributes:
        undecodable: Messages that were dropped because they could not be decoded.
        missed: Messages of groups that made room for those that were sent.
    """

    def __init__(
        self, node: NodeId, queues: Queues, options: LayerOptions, *, tasks: Tasks
    ) -> None:
        self.undecodable = 0
        self.missed = 0
        self._node = node
        self._queues = queues
        self._options = options
        self._kept: dict[str, Mailbox] = {}
        self._living: WeakValueDictionary[str, Mailbox] = WeakValueDictionary()
        self._sweep_at = SWEPT_AT
        self._changed: set[str] = set()  # how many group messages they hold is to be told
        self._telling: asyncio.Task[None] | None = None
        self._expiring: dict[str, asyncio.TimerHandle] = {}
        self._tasks = tasks.branch()
        self._checking: asyncio.Task[None] | None = None  # of queues, once one is shared
        self._has_ended = False
        self._complain = ThrottledLog(logger, logging.ERROR)
        self._complain_of_full = ThrottledLog(logger, logging.WARNING)

    def __len__(self) -> int:
        """Return how many mailboxes there are."""
        return len(self._living)

    def begin(self, channel: str) -> Mailbox:
        """Return where a process-local channel that was just named is received; it is kept."""
        if len(self._kept) >= self._sweep_at:
            self.sweep()
        mailbox = self._kept[channel] = self._make(channel, is_new=True)
        return mailbox

    def open(self, channel: str) -> Mailbox:
        """Return where this node receives a channel; it lives while somebody holds it."""
        return self._living.get(channel) or self._make(channel, is_new=False)

    async def claim(self, channel: str, *, looks: bool = False) -> Claimed:
        """Wait for a channel's next message; cancelling it loses none.

        Args:
            looks: Whether the queue may have messages of which no wake-up will come.

        Raises:
            ShardUnavailable: If its queue can't be reached.
        """
        mailbox = self.open(channel)
        if looks:
            mailbox.look()
        try:
            return await mailbox.claim()
        except asyncio.CancelledError:
            self.release(channel)
            raise

    async def claim_until(self, channel: str, is_over: Callable[[], bool]) -> Claimed | None:
        """Do what `claim` does until another loop is to receive the channel; None then.

        What was taken by then is in the queue again, of which nobody is woken.
        """
        mailbox = self.open(channel)
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle

        def look(again: Callable[..., None]) -> None:
            nonlocal timer
            if is_over():
                until.reschedule(loop.time())
            else:
                timer = loop.call_later(OVER_LOOK, again, again)

        # It is told itself: a function that names itself would be kept, and the task with it.
        timer = loop.call_later(OVER_LOOK, look, look)
        try:
            async with asyncio.timeout(None) as until:
                return await self.claim(channel)
        except TimeoutError:
            if not until.expired():
                raise
        finally:
            timer.cancel()
        await mailbox.settled()
        return None

    def give_back(self, channel: str, claimed: Claimed) -> None:
        """Put what was claimed back to where it came from: the next one to be claimed."""
        self.open(channel).give_back(claimed)
        self.release(channel)

    def wake(self, channel: str) -> None:
        """Tell a channel's receiver that one more message waits in its queue."""
        mailbox = self._living.get(channel)
        if mailbox is None:
            if not self._is_own(channel):
                self._pass_on(channel)
        elif not mailbox.wake():
            self.missed += 1
            self._complain_of_full("%s is full and missed a message of a group", channel)

    def look(self, shards: Sequence[int]) -> None:
        """Have the queues of these shards' channels looked at: wake-ups may have been lost."""
        for mailbox in self._of(shards):
            mailbox.look()

    def flushed(self, shard: int) -> None:
        """Drop all that waits for a shard's channels, since their queues were emptied."""
        for mailbox in self._of([shard]):
            mailbox.clear()

    def tell(self, type: str) -> None:
        """Deliver a message that is nothing but its type to each process-local channel."""
        options = self._options
        serializer = Serializer(options.serializer_format, options.symmetric_encryption_keys)
        message = serializer.dumps({"type": type})
        for channel, mailbox in list(self._living.items()):
            if is_process_local(channel):
                mailbox.deliver(message)

    def release(self, channel: str) -> None:
        """Keep a mailbox that lost a receiver or a group only if something waits in it."""
        mailbox = self._living.get(channel)
        if mailbox is None or mailbox.is_empty:
            self._kept.pop(channel, None)
        else:
            self._kept[channel] = mailbox

    def forget(self, channel: str) -> None:
        """Give up a channel that nobody will receive any more, with what waits here for it."""
        self._kept.pop(channel, None)

    def drop(self, channel: str, error: UndecodableMessage) -> None:
        """Count a message that could not be decoded, and say so once in a while."""
        self.undecodable += 1
        self._complain("%s: %s", channel, error)

    @property
    def is_told(self) -> bool:
        """Whether the shards know how many group messages wait here."""
        return self._telling is None

    def is_behind(self, channel: str) -> bool:
        """Tell whether a channel's shard is yet to be told how many group messages wait here.

        From any thread. Where the shards are in this process they are told of each.
        """
        if channel in self._changed or self._queues.has_unheard:
            return True
        mailbox = self._living.get(channel) if self._queues.is_here else None
        return mailbox is not None and not mailbox.is_told

    def limit(self, options: LayerOptions) -> None:
        """Go by other limits from now on: `capacity`, `channel_capacity` and `expiry`."""
        self._options = options
        for channel, mailbox in list(self._living.items()):
            mailbox.limit(capacity=options.capacity_of(channel), expiry=options.expiry)

    def end(self) -> None:
        """Raise ShardUnavailable in all receivers that wait: the layer is being closed."""
        self._has_ended = True
        for channel, mailbox in list(self._living.items()):
            mailbox.end(partial(self._queues.unavailable, self._shard_of(channel), CLOSED))

    async def at_rest(self) -> None:
        """Wait until all that was taken from queues is with a receiver, or back in its place."""
        await asyncio.gather(*(mailbox.at_rest() for mailbox in list(self._living.values())))

    async def aclose(self) -> None:
        """Tell no shard any more how many group messages wait here."""
        for timer in self._expiring.values():
            timer.cancel()
        self._expiring.clear()
        await self._tasks.aclose()

    def _note(self, channel: str) -> None:
        self._changed.add(channel)
        if self._telling is None:
            self._telling = self._tasks.spawn(self._tell_held(), f"report what {self._node} holds")

    async def _tell_held(self) -> None:
        """Tell the shards what changed, and what changes meanwhile, one call per channel each."""
        try:
            while self._changed:
                async with asyncio.TaskGroup() as group:
                    for channel in self._changed:
                        group.create_task(self.tell_held(channel))
        finally:
            self._telling = None

    async def tell_held(self, channel: str) -> None:
        """Tell a channel's shard how many group messages wait here, if it does not know."""
        self._queues.hear()
        if not self.is_behind(channel):
            return
        self._changed.discard(channel)
        mailbox = self._living.get(channel)
        held = mailbox.tell() if mailbox is not None else NOTHING_HELD
        timer = self._expiring.pop(channel, None)
        if timer is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        if held.messages:
            self._expiring[channel] = loop.call_at(held.first, self._expire, channel)
        ttl = max(held.last - loop.time(), 0.0)
        try:
            await self._queues.hold(self._shard_of(channel), channel, held.messages, ttl)
        except ShardLayerError as error:
            self._complain("Redis can't be told how full the channel %s is: %s", channel, error)

    def _expire(self, channel: str) -> None:
        del self._expiring[channel]
        mailbox = self._living.get(channel)
        if mailbox is not None:
            mailbox.expire()

    def _of(self, shards: Sequence[int]) -> Iterator[Mailbox]:
        for channel, mailbox in list(self._living.items()):
            if self._shard_of(channel) in shards:
                yield mailbox

    def sweep(self) -> None:
        """Give up mailboxes whose channels nobody receives any more.

        Done now and then, and when there are twice as many as the last time.
        """
        for channel in [name for name, mailbox in self._kept.items() if mailbox.is_stale]:
            del self._kept[channel]
        self._sweep_at = max(SWEPT_AT, 2 * len(self._kept))

    def _make(self, channel: str, *, is_new: bool) -> Mailbox:
        shard = self._shard_of(channel)
        is_own = self._is_own(channel)
        reader = "" if is_own else self._node
        if not is_own and self._checking is None:
            self._checking = self._tasks.repeat(
                self._check_queues,
                f"queue checks of {self._node}",
                pause=self._queue_check_pause,
            )
        mailbox = self._living[channel] = Mailbox(
            channel,
            capacity=self._options.capacity_of(channel),
            expiry=self._options.expiry,
            fetch=lambda: self._queues.receive(shard, channel, reader=reader),
            restore=None if is_own else partial(self._restore, channel),
            pass_on=partial(self._pass_on, channel),
            clock=asyncio.get_running_loop().time,
            is_new=is_new,
            hear=self._queues.hear,
            on_held=partial(self._note, channel),
        )
        if self._has_ended:
            mailbox.end(partial(self._queues.unavailable, shard, CLOSED))
        return mailbox

    def _is_own(self, channel: str) -> bool:
        """Tell whether nobody but this node receives a channel.

        A process-local channel whose loop is gone is read on like one that several may read.
        """
        return is_process_local(channel) and node_of(channel) == self._node

    def _queue_check_pause(self) -> float:
        spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (jitter)
        return self._options.queue_check_interval * spread

    async def _check_queues(self) -> None:
        """Look into the queues that receivers wait for.

        A message wakes one of all nodes that wait, and that one may hang or have died of it.
        """
        awaited: dict[int, list[str]] = {}
        for channel, mailbox in list(self._living.items()):
            if mailbox.is_shared and mailbox.is_awaited:
                awaited.setdefault(self._shard_of(channel), []).append(channel)
        for shard, channels in awaited.items():
            for start in range(0, len(channels), CHANNELS_PER_CALL):
                with suppress(ShardUnavailable):  # they are looked at when it can be heard again
                    await self._check(shard, channels[start : start + CHANNELS_PER_CALL])

    async def _check(self, shard: int, channels: Sequence[str]) -> None:
        for channel in await self._queues.await_messages(shard, channels, reader=self._node):
            mailbox = self._living.get(channel)
            if mailbox is not None:
                mailbox.look()

    def _pass_on(self, channel: str) -> None:
        self._tasks.spawn(self._rouse(channel), f"wake the next receiver of {channel}")

    async def _rouse(self, channel: str) -> None:
        try:
            await self._queues.rouse(self._shard_of(channel), channel)
        except ShardLayerError as error:
            self._complain("Receivers of the channel %s may wait too long: %s", channel, error)

    async def _restore(self, channel: str, queued: Queued) -> None:
        try:
            await self._queues.restore(self._shard_of(channel), channel, queued)
        except ShardLayerError as error:
            self._complain("A message of the channel %s was lost: %s", channel, error)

    def _shard_of(self, channel: str) -> int:
        return shard_of(channel, self._options.shards)
