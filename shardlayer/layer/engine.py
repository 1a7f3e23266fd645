"""What a channel layer keeps for one event loop.

An engine is a backend, a publisher and, in a loop that has members, a node. It ends with its loop:
a keeper task, cancelled with all others when `asyncio.run` or `async_to_sync` winds up, closes the
connections; and where a loop is closed without that, it is closed before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from shardlayer.aio.loop_endings import before_close
from shardlayer.aio.tasks import Tasks
from shardlayer.broker.opening import open_backend
from shardlayer.broker.publisher import Publisher
from shardlayer.core.options import LayerOptions
from shardlayer.delivery.presence_reports import Turned
from shardlayer.layer.layer_counters import LayerCounters, ShardCounters
from shardlayer.layer.layer_histograms import LayerHistograms
from shardlayer.layer.node import Node

logger = logging.getLogger(__name__)

APPENDS = 200  # of groups' messages to normal channels, under way at the same time
# Seconds that an engine gets to send what still waits. With the node's LEAVE_TIMEOUT it is less
# than what a server gives the end of its application.
CLOSE_TIMEOUT = 3.0

Told = Callable[[BaseException | None], object]
"""Hears how work ended: None, or the error."""


class Engine:
    """One event loop's way to the shards. Made inside the loop.

    Args:
        options: The layer's options.
        on_closed: Called once the engine can't be used any more.
        process: Begins the names of its nodes.
        on_turned: Told of rooms that its node found turned (see `Attendance`).
    """

    def __init__(
        self,
        options: LayerOptions,
        on_closed: Callable[[], None],
        *,
        process: str,
        on_turned: Turned,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.tasks = Tasks()
        self.backend = open_backend(options, self.tasks)
        self.publisher = Publisher(self.backend, options)
        self.shards = options.shards
        self.appends = asyncio.Semaphore(APPENDS)
        self.node: Node | None = None
        self._options = options
        self._on_closed = on_closed
        self._process = process
        self._on_turned = on_turned
        self._untold: dict[object, Told] = {}  # of work that other threads began
        self._closing: asyncio.Task[None] | None = None
        self._is_closed = False
        self._keeper = self.loop.create_task(self._keep(), name="keeper of the channel layer")
        # Also what holds this engine while its loop lives, whatever becomes of the layer.
        self._forget_loop = before_close(self.loop, self._end)

    async def start_node(self) -> Node:
        """Return the loop's node, started on first use."""
        if self.node is None:
            self.node = Node(
                self.backend,
                self._options,
                process=self._process,
                tasks=self.tasks,
                on_turned=self._on_turned,
            )
            await self.node.start()
        return self.node

    def begin(self, work: Callable[[], Coroutine[Any, Any, object]], told: Told) -> None:
        """Begin work on the loop and return; `told` hears there how it ended. From any thread.

        Raises:
            RuntimeError: If the loop is closed; `told` is not called then.
        """
        key = object()

        def start() -> None:
            task = self.tasks.start(work(), "shardlayer: call of another thread")
            task.add_done_callback(tell)

        def tell(ended: asyncio.Task[object]) -> None:
            del self._untold[key]
            told(asyncio.CancelledError() if ended.cancelled() else ended.exception())

        self._untold[key] = told
        try:
            self.loop.call_soon_threadsafe(start)
        except RuntimeError:
            if self._untold.pop(key, None) is not None:  # else `break_off` has told it
                raise

    def break_off(self) -> None:
        """Tell a CancelledError to who began what the loop, which is closed, left undone."""
        for key in list(self._untold):
            told = self._untold.pop(key, None)
            if told is None:  # its own thread has found the loop closed
                continue
            try:
                told(asyncio.CancelledError())
            except Exception:
                logger.exception("An error of who was told that a call was broken off:")

    def change(self, options: LayerOptions) -> None:
        """Go by other limits for messages from now on. From any thread."""
        self._options = options
        self.backend.change(options)
        if self.node is None:
            return
        if is_running_here(self.loop):
            self.node.limit(options)
            return
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self.node.limit, options)

    def counters(self) -> LayerCounters:
        """Return what this loop counted since its start. From any thread."""
        counters = LayerCounters() if self.node is None else self.node.counters()
        counters.failing_tasks = len(self.tasks.failing)
        counters.unheard_servers = len(self.backend.unheard)
        return counters

    def histograms(self) -> LayerHistograms:
        """Return what this loop measured since its start. From any thread."""
        histograms = LayerHistograms()
        for measured in list(self.publisher.by_bundle.values()):
            histograms.add(measured)
        for delays, ages in () if self.node is None else self.node.delays():
            histograms.delivery_seconds.add(delays)
            histograms.end_to_end_seconds.add(ages)
        return histograms

    def shard_counters(self) -> list[ShardCounters]:
        """Return what this loop counted of each shard; nothing if it has no members. Any thread."""
        return [] if self.node is None else self.node.shard_counters()

    async def flush(self) -> None:
        """Delete all messages, groups and histories; the loop's own node has then heard of it."""
        if self.node is None:
            await self.backend.flush()
        else:
            await self.node.flush()

    async def aclose(self) -> None:
        """Send what waits, leave the registries and close every connection. Idempotent.

        A call that is cancelled leaves the rest to be done by itself.
        """
        await asyncio.shield(self._begin_closing())

    async def _end(self) -> None:
        await asyncio.wait([self._begin_closing()])
        await asyncio.wait([self._keeper])

    def end_soon(self) -> None:
        """Have it close itself, since nobody has its layer any more. From any thread."""
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self._begin_closing)

    def _begin_closing(self) -> asyncio.Task[None]:
        # A task that is cancelled before its first step, with all others of its loop, did nothing.
        if self._closing is None or (self._closing.done() and not self._is_closed):
            self._on_closed()
            if self.node is not None:
                self.node.mailboxes.end()
            self._closing = self.loop.create_task(self._close(), name="end of the channel layer")
        return self._closing

    async def _close(self) -> None:
        try:
            await self._leave()
        finally:
            try:
                await self._disconnect()
            except asyncio.CancelledError:
                # The loop winds up and has cancelled all its tasks, which it does once.
                await self._disconnect()
                raise
            finally:
                self._is_closed = True
                self._forget_loop()
            self._keeper.cancel()

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                ends = [self.publisher.drain()]
                if self.node is not None:
                    ends.append(self.node.mailboxes.at_rest())
                await asyncio.gather(*ends)
        except TimeoutError:
            logger.warning(
                "The channel layer's publications did not all leave in time, or messages that it "
                "was receiving may be lost."
            )
        finally:
            if self.node is not None:
                await self.node.aclose()

    async def _disconnect(self) -> None:
        await self.publisher.aclose()
        await self.backend.aclose()

    async def _keep(self) -> None:
        try:
            await self.loop.create_future()
        finally:
            await self.aclose()


def is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether a loop is the one that runs in this thread."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
