"""What a channel layer keeps per event loop, and which loop a call belongs to.

An engine is a backend, a publisher and, in a loop that has members, a node. A loop gets its own
engine when it first needs a node, which is a server's loop, or asks for it. Any other that
publishes (an `async_to_sync` in a view or a script makes a new one per call) uses a shared engine
in a background thread, so that calls from many threads share batches and no connection is opened
per call.

An engine ends with its loop: a keeper task, cancelled with all others when `asyncio.run` or
`async_to_sync` winds up, closes the connections.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict
from typing import Any, TypeVar

from shardlayer.backends.base import Backend
from shardlayer.backends.cluster import ClusterServers
from shardlayer.backends.memory import MemoryBackend
from shardlayer.backends.memory_server import server
from shardlayer.backends.redis import RedisBackend
from shardlayer.backends.servers import Servers
from shardlayer.crossing import run_there, wait_there
from shardlayer.names import is_of, new_process
from shardlayer.node import Node
from shardlayer.options import LayerOptions
from shardlayer.publisher import Publisher
from shardlayer.tasks import Tasks

logger = logging.getLogger("shardlayer.engine")

APPENDS = 200  # of groups' messages to normal channels, under way at the same time
CLOSE_TIMEOUT = 5.0  # seconds that an engine gets to send what still waits

Result = TypeVar("Result")


class Engine:
    """One event loop's way to the shards. Made inside the loop.

    Args:
        options: The layer's options.
        on_closed: Called once the engine can't be used any more.
        process: Begins the names of its nodes.
    """

    def __init__(
        self, options: LayerOptions, on_closed: Callable[[], None], *, process: str
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.tasks = Tasks()
        self.backend = make_backend(options)
        self.publisher = Publisher(self.backend, options)
        self.appends = asyncio.Semaphore(APPENDS)
        self.node: Node | None = None
        self._options = options
        self._on_closed = on_closed
        self._process = process
        self._closing: asyncio.Task[None] | None = None
        self._keeper = self.loop.create_task(self._keep(), name="keeper of the channel layer")

    async def start_node(self) -> Node:
        """Return the loop's node, started on first use."""
        if self.node is None:
            self.node = Node(self.backend, self._options, process=self._process, tasks=self.tasks)
            await self.node.start()
        return self.node

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
        if self._closing is None:
            self._on_closed()
            self._closing = self.loop.create_task(self._close(), name="end of the channel layer")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.publisher.drain()
                if self.node is not None:
                    await self.node.aclose()
        except TimeoutError:
            logger.warning("The channel layer's publications did not all leave in time.")
        finally:
            try:
                await self._disconnect()
            except asyncio.CancelledError:
                # The loop winds up and has cancelled all its tasks, which it does once.
                await self._disconnect()
                raise
            self._keeper.cancel()

    async def _disconnect(self) -> None:
        await self.publisher.aclose()
        await self.backend.aclose()

    async def _keep(self) -> None:
        try:
            await self.loop.create_future()
        finally:
            await self.aclose()


def make_backend(options: LayerOptions) -> Backend:
    """Return a backend of the running loop for where the options say that the shards are."""
    if options.hosts[0].is_memory:
        return MemoryBackend(options, server(options.hosts[0].url))
    return RedisBackend(options, ClusterServers(options) if options.cluster else Servers(options))


class Engines:
    """The engines of one layer in one process. Thread-safe.

    The background engine ends with this object, at the latest at the interpreter's exit.
    A forked child starts with none: it never uses its parent's connections.
    """

    def __init__(self, options: LayerOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._by_loop: dict[asyncio.AbstractEventLoop, Engine] = {}
        self._background: Engine | None = None
        self._process = new_process()
        self._pid = os.getpid()

    def own(self) -> Engine:
        """Return the engine of the running loop, made on first use."""
        self._forget_parent()
        loop = asyncio.get_running_loop()
        engine = self._by_loop.get(loop)
        if engine is None:
            self._forget_closed_loops()
            engine = Engine(self._options, lambda: self._forget(loop), process=self._process)
            self._by_loop[loop] = engine
        return engine

    def here(self) -> Engine | None:
        """Return the engine of the running loop, if it has its own."""
        self._forget_parent()
        return self._by_loop.get(asyncio.get_running_loop())

    async def run(self, work: Callable[[Engine], Awaitable[Result]]) -> Result:
        """Do work that needs no node: on the running loop's engine, or the background one."""
        engine = self.here()
        if engine is not None:
            return await work(engine)
        shared = self._shared()
        return await self.run_on(shared, lambda: work(shared))

    async def run_on(
        self,
        engine: Engine,
        work: Callable[[], Awaitable[Result]],
        *,
        unclaimed: Callable[[Result], object] | None = None,
    ) -> Result:
        """Do work on the loop of an engine (see `crossing.run_there`)."""
        if engine.loop is asyncio.get_running_loop():
            return await work()
        return await run_there(engine.loop, work, unclaimed=unclaimed)

    def wait_for(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Do work on the background engine's loop while this thread waits.

        Raises:
            RuntimeError: If an event loop runs in this thread.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._forget_parent()
            return wait_there(self._shared().loop, work)
        raise RuntimeError(
            "This thread runs an event loop, which a blocking call would hold up: "
            "await the method without _sync."
        )

    def with_node(self, node: str) -> Engine | None:
        """Return the engine in this process whose node has that id."""
        self._forget_parent()
        for engine in list(self._by_loop.values()):
            if engine.node is not None and engine.node.id == node:
                return None if engine.loop.is_closed() else engine
        return None

    def receiver_of(self, node: str) -> Engine | None:
        """Return the engine whose loop receives a node's channels; None if any loop may.

        Any loop of the process may if the node's own has ended, or does not run.

        Raises:
            RuntimeError: If the node is none of this process.
        """
        self._forget_parent()
        if not is_of(node, self._process):
            raise RuntimeError(
                f"A channel of {node!r} can't be received by {self._process!r}: only the layer and "
                f"the process that named it receive a process-local channel."
            )
        engine = self.with_node(node)
        return engine if engine is not None and engine.loop.is_running() else None

    def stats(self) -> Mapping[str, int]:
        """Return the counts of all engines of this process, added up."""
        self._forget_parent()
        shared = [self._background] if self._background is not None else []
        total: Counter[str] = Counter()
        for engine in [*self._by_loop.values(), *shared]:
            total.update(asdict(engine.publisher.stats))
            total["failing_tasks"] += len(engine.tasks.failing)
            if engine.node is not None:
                total.update(engine.node.stats())
        return total

    @property
    def failing_tasks(self) -> list[str]:
        """The names of tasks of this process that failed and are not yet known to work again."""
        self._forget_parent()
        shared = [self._background] if self._background is not None else []
        engines = [*list(self._by_loop.values()), *shared]
        return [name for engine in engines for name in engine.tasks.failing]

    async def aclose(self) -> None:
        """Close the running loop's engine and the background one."""
        self._forget_parent()
        engine = self._by_loop.get(asyncio.get_running_loop())
        if engine is not None:
            await engine.aclose()
        with self._lock:
            shared, self._background = self._background, None
        if shared is not None:
            await self.run_on(shared, shared.aclose)
            _stop(shared.loop)

    def _shared(self) -> Engine:
        with self._lock:
            if self._background is None or self._background.loop.is_closed():
                self._background = _start_thread(self._options, self._process)
                weakref.finalize(self, _stop, self._background.loop)
            return self._background

    def _forget(self, loop: asyncio.AbstractEventLoop) -> None:
        self._by_loop.pop(loop, None)

    def _forget_closed_loops(self) -> None:
        """Forget the engines of loops that were closed without their tasks being cancelled."""
        for loop in [loop for loop in list(self._by_loop) if loop.is_closed()]:
            self._forget(loop)

    def _forget_parent(self) -> None:
        if self._pid != os.getpid():
            self._lock = threading.Lock()
            self._by_loop = {}
            self._background = None
            self._process = new_process()
            self._pid = os.getpid()


def _start_thread(options: LayerOptions, process: str) -> Engine:
    """Return an engine on an event loop of its own, in a daemon thread."""
    ready: Future[Engine] = Future()

    async def begin() -> None:
        try:
            ready.set_result(Engine(options, lambda: None, process=process))
        except Exception as error:  # a URL that redis-py does not take, say: the caller's to know
            ready.set_exception(error)

    def run() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(begin())
        if ready.exception() is None:
            loop.run_forever()
        _wind_up(loop)

    threading.Thread(target=run, name="shardlayer", daemon=True).start()
    return ready.result()


def _stop(loop: asyncio.AbstractEventLoop) -> None:
    """Have a background thread close its engine and end; from any thread, and more than once."""
    with suppress(RuntimeError):  # it has ended
        loop.call_soon_threadsafe(loop.stop)


def _wind_up(loop: asyncio.AbstractEventLoop) -> None:
    async def cancel_all() -> None:
        current = asyncio.current_task()
        # Other threads may ask for more meanwhile.
        while tasks := [task for task in asyncio.all_tasks() if task is not current]:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    loop.run_until_complete(cancel_all())
    loop.close()
