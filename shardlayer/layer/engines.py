"""Which event loop a call to the layer belongs to.

A loop gets an engine of its own when it first needs a node, as a server's loop does, or when it
asks for one. Any other loop that publishes uses a shared engine in a background thread. (An
`async_to_sync` in a view or a script makes a new loop for each call.) So calls from many threads
share batches, and no call opens a connection.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from shardlayer.aio import native_threads
from shardlayer.aio.other_loops import run_there, wait_there
from shardlayer.broker.publisher_histograms import PublisherHistograms
from shardlayer.core.channel_names import is_of, new_process
from shardlayer.core.options import LayerOptions
from shardlayer.delivery.presence_reports import Turned
from shardlayer.layer.background import Background
from shardlayer.layer.engine import Engine, Told
from shardlayer.layer.layer_counters import ShardCounters
from shardlayer.layer.layer_histograms import LayerHistograms

Result = TypeVar("Result")


class _Process:
    """What one process has of a layer.

    Attributes:
        name: Begins the names of its nodes.
        by_loop: The engines of loops that have their own.
        background: What does the work of all others, once there was any.
        ending: The engines of background loops that are being closed.
    """

    def __init__(self) -> None:
        self.name = new_process()
        self.by_loop: dict[asyncio.AbstractEventLoop, Engine] = {}
        self.background: Background | None = None
        self.ending: WeakValueDictionary[asyncio.AbstractEventLoop, Engine] = WeakValueDictionary()
        self.lock = native_threads.new_lock()

    def engines(self) -> list[Engine]:
        """Return all that there are. From any thread."""
        engines = list(self.by_loop.values())  # copied in one step
        background = self.background
        if background is not None and background.made is not None:
            engines.append(background.made)
        return engines


class Engines:
    """The engines of one layer in one process. Thread-safe.

    They end with this object, and the background one at the latest at the interpreter's exit.
    A forked child starts with none: it never uses its parent's connections.

    Raises:
        ConfigurationError: Where eventlet has patched the process.
    """

    def __init__(self, options: LayerOptions, on_turned: Turned) -> None:
        native_threads.refuse_eventlet()
        self._options = options
        self._on_turned = on_turned
        self._processes: dict[int, _Process] = {os.getpid(): _Process()}
        weakref.finalize(self, _end_all, self._processes).atexit = False

    @property
    def _process(self) -> _Process:
        """What belongs to this process, which may be a forked child of the one that made this."""
        pid = os.getpid()
        process = self._processes.get(pid)
        if process is None:
            # In one step, whichever threads come here at the same time.
            process = self._processes.setdefault(pid, _Process())
            for other in list(self._processes):
                if other != pid:
                    self._processes.pop(other, None)
        return process

    def change(self, options: LayerOptions) -> None:
        """Go by other limits for messages from now on."""
        self._options = options
        for engine in self._process.engines():
            engine.change(options)

    def own(self) -> Engine:
        """Return the engine of the running loop, made on first use."""
        process, loop = self._process, asyncio.get_running_loop()
        engine = process.by_loop.get(loop)
        if engine is None:
            _forget_closed_loops(process)

            def forget() -> None:
                process.by_loop.pop(loop, None)

            engine = process.by_loop[loop] = Engine(
                self._options, forget, process=process.name, on_turned=self._on_turned
            )
        return engine

    def here(self) -> Engine | None:
        """Return the engine of the running loop, if it has its own."""
        return self._process.by_loop.get(asyncio.get_running_loop())

    async def run(self, work: Callable[[Engine], Awaitable[Result]]) -> Result:
        """Do work that needs no node: on the running loop's engine, or the background one."""
        engine = self.here()
        if engine is not None:
            return await work(engine)
        here = asyncio.get_running_loop()
        # What a loop took on before it was told to end it does itself: `aclose` waits for it.
        shared = self._process.ending.get(here) or self._shared()
        if shared.loop is here:
            return await work(shared)
        return await run_there(shared.loop, lambda: work(shared))  # a coroutine less than `run_on`

    async def run_on(
        self,
        engine: Engine,
        work: Callable[[], Awaitable[Result]],
        *,
        unclaimed: Callable[[Result], object] | None = None,
    ) -> Result:
        """Do work on the loop of an engine (see `other_loops.run_there`)."""
        if engine.loop is asyncio.get_running_loop():
            return await work()
        return await run_there(engine.loop, work, unclaimed=unclaimed)

    def wait_for(
        self,
        work: Callable[[], Coroutine[Any, Any, Result]],
        instead: str = "the method without _sync",
    ) -> Result:
        """Do work on the background engine's loop while this thread waits.

        `instead` is what the error says that a caller with an event loop is to await.

        Raises:
            RuntimeError: If an event loop runs in this thread.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return wait_there(self._shared().loop, work)
        if native_threads.is_of_another_greenlet(loop):
            return wait_there(self._shared().loop, work)
        raise RuntimeError(
            f"This thread runs an event loop, which a blocking call would hold up: await {instead}."
        )

    def begin(self, work: Callable[[], Coroutine[Any, Any, object]], told: Told) -> None:
        """Begin work on the background engine's loop and return; `told` hears there how it ended.

        What one thread begins takes its first step in that order. `told` gets None or the error,
        and a CancelledError if the engine is closed before.
        """
        self._shared().begin(work, told)

    def with_node(self, node: str) -> Engine | None:
        """Return the engine in this process whose node has that id."""
        for engine in list(self._process.by_loop.values()):
            if engine.node is not None and engine.node.id == node:
                return None if engine.loop.is_closed() else engine
        return None

    def receiver_of(self, node: str) -> Engine | None:
        """Return the engine whose loop receives a node's channels; None if any loop may.

        Any loop of the process may if the node's own has ended, or does not run.

        Raises:
            RuntimeError: If the node is none of this process.
        """
        process = self._process.name
        if not is_of(node, process):
            raise RuntimeError(
                f"A channel of {node!r} can't be received by {process!r}: only the layer and "
                f"the process that named it receive a process-local channel."
            )
        engine = self.with_node(node)
        return engine if engine is not None and engine.loop.is_running() else None

    def stats(self) -> Mapping[str, int]:
        """Return the counts of all engines of this process, added up."""
        total: Counter[str] = Counter()
        for engine in self._process.engines():
            total.update(asdict(engine.publisher.counters))
            total.update(asdict(engine.counters()))
        return total

    def histograms(self) -> LayerHistograms:
        """Return what all engines of this process measured, added up."""
        total = LayerHistograms()
        for engine in self._process.engines():
            total.add(engine.histograms())
        return total

    def shard_counters(self) -> list[ShardCounters]:
        """Return the counts of each shard, over all engines that have members; none: nothing."""
        totals: list[ShardCounters] = []
        for engine in self._process.engines():
            found = engine.shard_counters()
            totals = totals or [ShardCounters() for _ in found]
            for total, more in zip(totals, found, strict=False):
                for item in fields(total):
                    name = item.name
                    setattr(total, name, getattr(total, name) + getattr(more, name))
        return totals

    def published(self) -> list[int]:
        """Return how many publications each shard has acknowledged to this process."""
        of_engines = [engine.publisher.published for engine in self._process.engines()]
        return [*map(sum, zip(*of_engines, strict=True))]

    def bundle_histograms(self) -> dict[int, PublisherHistograms]:
        """Return what this process measured of publishing, by the first shard of each bundle."""
        totals: dict[int, PublisherHistograms] = {}
        for engine in self._process.engines():
            for bundle, measured in engine.publisher.by_bundle.items():
                totals.setdefault(bundle, PublisherHistograms()).add(measured)
        return totals

    @property
    def failing_tasks(self) -> list[str]:
        """The names of tasks of this process that failed and are not yet known to work again."""
        return [name for engine in self._process.engines() for name in engine.tasks.failing]

    @property
    def unheard_servers(self) -> list[str]:
        """The addresses of servers that a loop of this process listens to and can't hear."""
        engines = self._process.engines()
        return sorted({address for engine in engines for address in engine.backend.unheard})

    async def aclose(self) -> None:
        """Close the running loop's engine and the background one.

        A call that is cancelled leaves what it has begun to be done by itself.
        """
        process = self._process
        engine = process.by_loop.get(asyncio.get_running_loop())
        if engine is not None:
            await engine.aclose()
        background = process.background
        if background is None or background.is_over:
            return
        shared = background.engine()  # waited for without the lock, as in `_shared`
        with process.lock:
            if process.background is not background:  # another call closes it
                return
            process.background = None
            process.ending[shared.loop] = shared
        try:
            await self.run_on(shared, shared.aclose)
        finally:  # also if this call is cancelled: no other one closes it
            background.end()

    def _shared(self) -> Engine:
        process = self._process
        background = process.background
        if background is not None and (engine := background.usable) is not None:
            return engine
        with process.lock:
            background = process.background
            if background is None or background.is_over:
                options, name, on_turned = self._options, process.name, self._on_turned
                background = process.background = Background(
                    lambda: Engine(options, lambda: None, process=name, on_turned=on_turned)
                )
                weakref.finalize(self, background.stop).atexit = False
        return background.engine()  # waited for without the lock, which other greenlets may want


def _forget_closed_loops(process: _Process) -> None:
    """Forget the engines of loops that were closed and could not be told so before."""
    for loop in [loop for loop in list(process.by_loop) if loop.is_closed()]:
        process.by_loop.pop(loop, None)


def _end_all(processes: dict[int, _Process]) -> None:
    """Have the engines of this process's loops close themselves."""
    process = processes.get(os.getpid())
    if process is not None:
        for engine in list(process.by_loop.values()):
            engine.end_soon()
