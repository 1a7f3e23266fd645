"""From the outbox to Redis: each entry once, each room in order.

One round deletes what was published, takes the next batch, and hands it to the lanes: one for each
shard, which publishes in order and tries again until it can. A lane whose shard is away holds up no
other, until as much waits as a relay holds at a time.

A relay that begins asks each shard how far Redis has the outbox (`shard_marks.py`). Until a shard
has told, its new entries are not taken, and those that another relay took wait in their lane. So
every number that a relay gives is later than any that the entry's shard knew, and an entry that
waits in doubt keeps its own.

An entry is deleted only after Redis has it. A relay that dies in between leaves it behind, and the
next one publishes it again under the same mark, which Redis knows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError, connections

from realtime.models import OutboxEntry
from realtime.outage import Outage, pause
from realtime.outbox.lanes import Lane
from realtime.outbox.notifications import Notifications
from realtime.outbox.outbox_store import LeaseLost, OutboxStore
from realtime.outbox.shard_marks import Shard, ShardMarks
from realtime.rooms.room_names import require_open_room
from shardlayer import MessageTooLarge, ShardedChannelLayer, Tasks

logger = logging.getLogger(__name__)

BATCH = 500  # entries that are taken together
# Entries that a relay has taken and not yet published; also those that it looks through while it
# waits for the mark of a shard.
MAX_HELD = 10_000
LISTENING_POLL = 1.0  # seconds between looks at the outbox while the database tells of commits
STANDBY_LOOK = 1.0  # seconds, at most, between looks whether the lease has ended
FIRST_ANSWERS = 1.0  # seconds, at most, in which the shards' marks are waited for together
STOP_GRACE = 5.0  # seconds for what was taken to be published once it is to stop

Result = TypeVar("Result")
FAILURES = (DatabaseError, InterfaceError)  # of a database that is away


class OutboxRelay:
    """Publishes what a database's outbox holds, and what is written there, until it is stopped.

    Any number may run: one works, and the others wait for its lease to end.

    Args:
        store: The outbox.
        layer_of: Returns the channel layer of an alias. What it raises puts the entry aside.
        aliases: The channel layers that may know this outbox's marks.
        poll: Seconds between looks at the outbox where the database does not tell of commits.
        lease: Seconds that the store's lease lasts.

    Attributes:
        published: Entries that were published and deleted.
        put_aside: Entries that were put aside.
    """

    def __init__(
        self,
        store: OutboxStore,
        layer_of: Callable[[str], ShardedChannelLayer],
        *,
        aliases: Sequence[str],
        poll: float,
        lease: float,
    ) -> None:
        self.published = 0
        self.put_aside = 0
        self._store = store
        self._layer_of = layer_of
        self._aliases = aliases
        self._poll = poll
        self._renewal = lease / 3
        self._wake = asyncio.Event()
        self._outage = Outage(f"The database {store.database!r}", logger)
        self._notifications = Notifications(store.database, self._wake, self._outage)
        self._source = ""
        self._following = 0  # the number that the next batch had when this relay began
        self._marks = ShardMarks({}, "", self._shard_told)
        self._asking: asyncio.Task[None] | None = None
        self._lanes: dict[Shard, Lane] = {}
        self._held = 0  # entries in lanes
        self._done: list[int] = []  # ids that are published, or put aside, and not yet reported
        self._aside: set[int] = set()
        self._tasks = Tasks()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; then publish what was taken, for 5 s at most, and end the lease."""
        stopping = self._tasks.start(self._tell(stop), "outbox: wait for the signal to stop")
        if self._notifications.are_possible:
            self._tasks.supervise(self._notifications.listen, "outbox: listen for commits")
        try:
            while not stop.is_set():
                try:
                    await self._work_while_leased(stop)
                except LeaseLost:
                    logger.warning("Another relay has taken over the outbox.")
                except FAILURES as error:
                    advice = await self._advice()
                    await pause(self._outage.failed(error, advice=advice), unless=stop)
                finally:
                    await self._forget()
        finally:
            stopping.cancel()
            await self._tasks.aclose()
            with suppress(*FAILURES):
                await self._ask(self._store.release)

    async def _advice(self) -> str:
        """Return what somebody has to do about the database before waiting helps."""
        try:
            lacks = await self._ask(self._store.lacks_tables)
        except FAILURES:
            return ""
        return f"manage.py migrate --database {self._store.database}" if lacks else ""

    async def _work_while_leased(self, stop: asyncio.Event) -> None:
        if not await self._ask(self._store.acquire):
            logger.info("Another relay works on the outbox; waiting for its lease to end.")
            while not await self._ask(self._store.acquire):
                if await pause(min(self._renewal, STANDBY_LOOK), unless=stop):
                    return
        self._outage.over()
        await self._ask_for_marks()
        logger.info("Publishing what the outbox of %r holds.", self._store.database)
        await self._hand_over(await self._ask(self._store.taken))
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + self._renewal
        while not stop.is_set():
            self._wake.clear()
            most = min(BATCH, MAX_HELD - self._held)
            if self._marks.furthest >= self._following and not await self._leave_behind():
                most = 0
            among = await self._known(most)
            taken: list[OutboxEntry] = []
            is_due = self._done or loop.time() > renew_at
            if is_due or (most and await self._has_new(among)):
                taken = await self._advance(most, among)
                renew_at = loop.time() + self._renewal
                await self._hand_over(taken)
            self._outage.over()
            if not taken:
                listens = self._notifications.is_listening
                await self._wait(max(LISTENING_POLL, self._poll) if listens else self._poll)
        await self._drain()

    async def _known(self, most: int) -> Sequence[int] | None:
        """Return the first new entries whose shards have told their marks; None: all have."""
        if self._marks.are_complete:
            return None
        if not most:
            return []
        new = await self._ask(partial(self._store.new, MAX_HELD))
        return [entry for entry, alias, room in new if self._may_go(alias, room)][:most]

    def _may_go(self, alias: str, room: str) -> bool:
        try:
            shard = self._layer_of(alias).shard_of(room)
        except Exception:  # settings have changed since it was written: it is put aside
            return True
        return self._marks.has_told((alias, shard))

    async def _has_new(self, among: Sequence[int] | None) -> bool:
        return await self._ask(self._store.has_new) if among is None else bool(among)

    async def _advance(self, most: int, among: Sequence[int] | None = None) -> list[OutboxEntry]:
        done, self._done = self._done, []
        published = [entry for entry in done if entry not in self._aside]
        # A shard that tells only now has no entry among these.
        behind = self._marks.furthest
        advance = partial(self._store.advance, published, most, among=among, behind=behind)
        taken = await self._ask(advance)
        self._aside.difference_update(done)
        self.published += len(published)
        return taken

    async def _drain(self) -> None:
        end = asyncio.get_running_loop().time() + STOP_GRACE
        while self._held and (left := end - asyncio.get_running_loop().time()) > 0:
            self._wake.clear()
            await self._wait(left)
        if self._done:
            await self._advance(0)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    async def _tell(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def _ask_for_marks(self) -> None:
        """Begin to ask the shards, and wait a moment, as most answer at once."""
        self._source, self._following = await self._ask(self._store.count)
        layers = {alias: self._layer_of(alias) for alias in self._aliases}
        self._marks = ShardMarks(layers, self._source, self._shard_told)
        self._asking = self._tasks.supervise(self._marks.ask, "outbox: ask for marks")
        await asyncio.wait([self._asking], timeout=min(FIRST_ANSWERS, self._renewal))

    def _shard_told(self, shard: Shard) -> None:
        if (lane := self._lanes.get(shard)) is not None:
            lane.open()
        self._wake.set()

    async def _leave_behind(self) -> bool:
        """Go on where Redis has seen nothing, if it has seen later batches than there were.

        What is on its way to shards that answer is waited for: then the outbox may have another
        name. Under that one, entries of before would be published again.

        Returns:
            Whether it is done; until then nothing may be taken.
        """
        if self._done or any(lane.is_publishing for lane in self._lanes.values()):
            return False
        seen = self._marks.furthest
        source = await self._ask(partial(self._store.leave_behind, seen))
        is_renamed = source != self._source
        logger.warning(
            "Redis has seen batch %d of the outbox, but the database counted only up to %d: it was "
            "restored from a backup. The outbox goes on %s.",
            seen,
            self._following - 1,
            "under a new name" if is_renamed else "behind that batch",
        )
        self._following = seen + 1
        if is_renamed:  # nothing is taken, and no shard knows the name
            await self._forget()
            self._source = source
        return True

    async def _hand_over(self, entries: Sequence[OutboxEntry]) -> None:
        for entry in entries:
            self._held += 1
            try:
                layer = self._layer_of(entry.layer)
                _require_publishable(layer, entry)
            except Exception as error:  # settings have changed since it was written
                await self._put_aside(entry, error)
                self._finished([entry])
            else:
                self._lane(entry.layer, layer, layer.shard_of(entry.room)).put(entry)

    def _lane(self, alias: str, layer: ShardedChannelLayer, shard: int) -> Lane:
        lane = self._lanes.get((alias, shard))
        if lane is None:
            lane = self._lanes[alias, shard] = Lane(
                layer,
                source=self._source,
                is_open=self._marks.has_told((alias, shard)),
                on_unpublishable=self._put_aside,
                on_done=self._finished,
                tasks=self._tasks,
            )
        return lane

    async def _put_aside(self, entry: OutboxEntry, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        logger.error("Outbox entry %s is put aside: %s", entry, reason)
        await self._ask(partial(self._store.put_aside, entry.pk, reason))
        self._aside.add(entry.pk)
        self.put_aside += 1

    def _finished(self, entries: Sequence[OutboxEntry]) -> None:
        self._held -= len(entries)
        self._done += [entry.pk for entry in entries]
        self._wake.set()

    async def _forget(self) -> None:
        """Stop all lanes, and asking; what lanes hold is read again from the outbox."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        self._marks = ShardMarks({}, "", self._shard_told)
        lanes, self._lanes = self._lanes, {}
        await asyncio.gather(*(lane.aclose() for lane in lanes.values()))
        self._held = 0
        self._done = []
        self._aside.clear()

    async def _ask(self, question: Callable[[], Result]) -> Result:
        """Ask the database in the one thread that has its connection."""
        return await sync_to_async(partial(_asked, self._store.database, question))()


def _require_publishable(layer: ShardedChannelLayer, entry: OutboxEntry) -> None:
    """Raise ValueError, TypeError or MessageTooLarge for what is not to be published."""
    require_open_room(entry.room)
    layer.require_valid_group_name(entry.room)
    size, limit = len(entry.data.encode()), layer.options.max_message_size
    if size > limit:
        raise MessageTooLarge(size=size, limit=limit)


def _asked(database: str, question: Callable[[], Result]) -> Result:
    try:
        return question()
    except FAILURES:
        connections[database].close_if_unusable_or_obsolete()
        raise
