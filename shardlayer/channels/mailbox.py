"""Where one node receives one Channels channel.

A message sent to the channel waits in a queue in Redis, and a wake-up arrives here; a message to
one of the channel's groups arrives here itself. Both are kept in one line: the wake-up holds the
place of its message, which is fetched when its turn comes. So what one writer sent, and then
published, is received in that order.

Both together are no more than the channel's capacity. A group's message that comes on top is
missed. Redis refuses a message that is sent to a full channel. For that, Redis is told how many
group messages wait here, in steps of a tenth of the capacity. A message that was let in before
Redis knew takes the place of the newest group message.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from shardlayer.aio.unlisted_tasks import unlisted_task
from shardlayer.broker.values import Queued
from shardlayer.channels.pending import LOOK, Held, PendingMessages, Waiting

Result = TypeVar("Result")


class Claimed(NamedTuple):
    """A message that was taken from the line, and until when it may be delivered."""

    ends: float
    message: bytes


class Mailbox:
    """Receives one channel on one event loop.

    Args:
        channel: The channel's name.
        capacity: Messages that may wait; a group's message that comes on top is missed.
        expiry: Seconds that a message may wait.
        fetch: Takes the oldest message from the channel's queue, or None.
        restore: Puts a message back that was taken for a receiver that is gone, so that receivers
            elsewhere get it. None if there can be none elsewhere: then the message waits here. If
            there can be some, a wake-up only says: look into the queue until it is empty.
        pass_on: Called when a message may wait in the queue that there is no receiver for here, so
            that one elsewhere is woken.
        is_new: Whether nobody can have sent to the channel yet. Otherwise its queue is looked at
            first, and what waits there comes before everything else.
        on_held: Called when Redis is to be told (see `tell`) how many group messages wait here.
        hear: Called before something is taken. What was sent to the channel's groups until then
            has its place afterwards, or has found none, if that can be known.
        clock: Tells the time in seconds.

    Attributes:
        on_arrival: Called whenever there is something new to `take` or `get`.
    """

    def __init__(
        self,
        channel: str,
        *,
        capacity: int,
        expiry: float,
        fetch: Callable[[], Coroutine[Any, Any, Queued | None]],
        restore: Callable[[Queued], Awaitable[None]] | None = None,
        pass_on: Callable[[], None] = lambda: None,
        is_new: bool,
        on_held: Callable[[], None] = lambda: None,
        hear: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.channel = channel
        self.on_arrival: Callable[[], None] | None = None
        self._expiry = expiry
        self._fetch = fetch
        self._restore = restore
        self._pass_on = pass_on
        self._line = PendingMessages(capacity, on_held)
        if not is_new:
            self._line.append(LOOK)
        self._getters: deque[asyncio.Future[None]] = deque()
        self._orphans: set[asyncio.Task[None]] = set()  # fetches whose receivers are gone
        self._taking: set[asyncio.Task[Any]] = set()  # all fetches
        self._claims = 0  # receivers, whatever they wait for
        self._ended: Callable[[], Exception] | None = None  # makes what receivers are raised
        self._hear = hear
        self._clock = clock
        self._touched = clock()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits here, and nothing is on its way to a receiver that is gone."""
        return not self._line and not self._orphans

    @property
    def is_awaited(self) -> bool:
        """Whether a receiver waits and there is nothing for it."""
        return bool(self._getters)

    def limit(self, *, capacity: int, expiry: float) -> None:
        """Go by other limits from now on; what waits keeps the time that it was given."""
        self._line.resize(capacity)
        self._expiry = expiry

    @property
    def is_told(self) -> bool:
        """Whether it was told how many group messages wait here now."""
        return self._line.is_told

    @property
    def is_shared(self) -> bool:
        """Whether there may be receivers elsewhere."""
        return self._restore is not None

    @property
    def is_stale(self) -> bool:
        """Whether nobody received for so long that all that waits here has expired."""
        now = self._clock()
        return (
            now - self._touched > self._expiry
            and not (self._getters or self._orphans or self.on_arrival)
            and self._line.is_over(now)
        )

    def deliver(self, message: bytes) -> bool:
        """Append a group's message; False if the channel is full. Once it has ended, drop it."""
        if self._ended is not None:
            return True
        now = self._clock()
        if not self._line.has_room(now):
            return False
        self._line.append(Waiting(now + self._expiry, message))
        self._wake_getter()
        return True

    def wake(self) -> bool:
        """Note that one more message waits in the queue; False if a group's made room for it."""
        if self.is_shared:
            self.look()
            if not self._claims and self.on_arrival is None:
                self._pass_on()
            return True
        now = self._clock()
        has_room = self._line.make_room(now)
        self._line.append(Waiting(now + self._expiry, None))
        self._wake_getter()
        return has_room

    def look(self) -> None:
        """Note that messages may wait in the queue: wake-ups may have been lost."""
        if not self._line.has_look:
            self._line.append(LOOK)
            self._wake_getter()

    def clear(self) -> None:
        """Forget all that waits, since the queue was emptied."""
        self._line.clear()
        self.look()

    def end(self, error: Callable[[], Exception]) -> None:
        """Raise an error in whoever waits, or comes to wait: nothing will arrive any more."""
        self._ended = error
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_exception(error())
        if self.on_arrival is not None:
            self.on_arrival()

    def expire(self) -> None:
        """Drop what has waited for too long."""
        self._line.expire(self._clock())

    def tell(self) -> Held:
        """Return what group messages wait here, now to be told to all who send."""
        return self._line.tell()

    def take(self) -> bytes | None:
        """Return the next message if it is here, without waiting.

        None with a mailbox that is not empty: the next one must be fetched, see `get`.

        Raises:
            ShardUnavailable: None is here, and the layer was closed: none will come.
        """
        self._hear()
        if self._line and self._line.head.ends <= self._clock():
            self._line.expire(self._clock())
        if self._ended is not None and self.is_empty:
            raise self._ended()
        if not self._line or self._line.head.message is None:
            return None
        return self._line.pop().message

    async def get(self) -> bytes:
        """Wait for the next message and return it. A cancelled call loses nothing.

        Raises:
            ShardUnavailable: If the queue can't be reached; its message still waits there. Or if
                the layer was closed and nothing waits here.
        """
        return (await self.claim()).message

    async def claim(self) -> Claimed:
        """Do what `get` does for a receiver that may `give_back` what it got."""
        self._claims += 1
        try:
            return await self._claim()
        except asyncio.CancelledError:
            if self._line.has_look and self._claims == 1:
                self._pass_on()  # it may have been woken for a message that it did not fetch
            raise
        finally:
            self._claims -= 1

    async def _claim(self) -> Claimed:
        while True:
            waiting = await self._next()
            message = waiting.message
            if message is None:
                message = await self._fetch_for(waiting)
            if message is not None:
                return Claimed(min(waiting.ends, self._clock() + self._expiry), message)

    async def settled(self) -> None:
        """Wait until what cancelled receivers took is where the next one finds it."""
        while self._orphans:
            await asyncio.wait(self._orphans)

    async def at_rest(self) -> None:
        """Wait until all that was taken from the queue is with a receiver, or back in its place."""
        while self._taking:
            await asyncio.wait(self._taking)

    def give_back(self, claimed: Claimed) -> None:
        """Put what was claimed back to the head of the line."""
        self._return(Waiting(*claimed))

    async def _next(self) -> Waiting:
        self._touched = self._clock()
        self._hear()
        while True:
            if self._orphans:
                await self._turn_after_orphans()
            elif not self._line:
                await self._arrival()
            else:
                waiting = self._line.pop()
                if waiting.ends > self._clock():
                    return waiting

    async def _turn_after_orphans(self) -> None:
        """Wait for fetches whose receivers are gone: what they took comes first."""
        try:
            await asyncio.wait(self._orphans)
        except asyncio.CancelledError:
            if self._line:
                self._wake_getter()  # it may have been this one's turn: pass it on
            raise

    async def _arrival(self) -> None:
        if self._ended is not None:
            raise self._ended()
        getter = asyncio.get_running_loop().create_future()
        self._getters.append(getter)
        try:
            await getter
        except asyncio.CancelledError:
            if getter.done() and not getter.cancelled():
                self._wake_getter()  # it was this one's turn: pass it on
            elif getter in self._getters:
                self._getters.remove(getter)
            raise

    async def _fetch_for(self, waiting: Waiting) -> bytes | None:
        # The call may have taken the message when it is cancelled, so it runs to its end.
        call = self._begin(self._fetch(), f"a message of {self.channel}")
        try:
            queued = await asyncio.shield(call)
        except asyncio.CancelledError:
            name = f"what a cancelled receive of {self.channel} took"
            orphan = self._begin(self._salvage(waiting, call), name)
            self._orphans.add(orphan)
            orphan.add_done_callback(self._orphans.discard)
            raise
        except Exception:
            self._return(waiting)
            raise
        if queued is None:
            return None
        if waiting is LOOK:
            self._return(waiting)
        return queued.message

    def _begin(self, work: Coroutine[Any, Any, Result], name: str) -> asyncio.Task[Result]:
        """Begin what ends with a message in its place, though the loop winds up."""
        task = unlisted_task(work, name=name)
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)
        return task

    async def _salvage(self, waiting: Waiting, call: Awaitable[Queued | None]) -> None:
        """Bring what a cancelled receive took to the next one."""
        try:
            queued = await call
        except Exception:  # told to nobody: the next receive asks again
            self._return(waiting)
            return
        if queued is None:
            return
        if self._restore is not None:
            await self._restore(queued)
            self._return(LOOK)
            return
        if waiting is LOOK:
            self._return(waiting)
        ends = min(waiting.ends, self._clock() + self._expiry)
        self.give_back(Claimed(ends, queued.message))

    def _return(self, waiting: Waiting) -> None:
        if waiting is not LOOK or not self._line.has_look:
            self._line.put_first(waiting)
        self._wake_getter()

    def _wake_getter(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return
        if self.on_arrival is not None:
            self.on_arrival()
