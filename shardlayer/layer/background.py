"""The event loop that does the work of all threads that have none: one for a layer and process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

from shardlayer.aio import native_threads
from shardlayer.layer.engine import Engine

LOOK = 1.0  # seconds, after which who waits looks whether it was told

MakeEngine = Callable[[], Engine]
"""Called on the new loop."""


class Background:
    """A thread of its own with an event loop and an engine; begins to run at once.

    Args:
        make: Makes the engine.
    """

    def __init__(self, make: MakeEngine) -> None:
        native_threads.refuse_eventlet()
        self._make = make
        self._pid = os.getpid()
        self._lock = native_threads.new_lock()
        self._waiting: list[native_threads.Signal] = []
        self._begun = False
        self._stopped = False
        self._engine: Engine | None = None
        self._error: Exception | None = None
        self._ending: asyncio.Task[None] | None = None
        native_threads.start_thread(self._run, "shardlayer", stop=self.stop)

    @property
    def is_over(self) -> bool:
        """Whether it can't be used any more, or never could."""
        if self._engine is None:
            return self._error is not None
        return self._engine.loop.is_closed()

    @property
    def usable(self) -> Engine | None:
        """The engine, if there is one yet and its loop is not closed."""
        engine = self._engine
        return engine if engine is not None and not engine.loop.is_closed() else None

    @property
    def made(self) -> Engine | None:
        """The engine, if there is one yet."""
        return self._engine

    def engine(self) -> Engine:
        """Return the engine, waited for if it is being made. Raises what making it raised."""
        if not self._begun:
            self._wait()
        if self._engine is None:
            raise self._error or RuntimeError("The background loop has no engine.")
        return self._engine

    def end(self) -> None:
        """Have its engine send what waits and close, then `stop`. From any thread."""
        if self._engine is not None:
            with suppress(RuntimeError):  # it has ended
                self._engine.loop.call_soon_threadsafe(self._begin_end, self._engine)

    def stop(self) -> None:
        """Have it close its engine and end. From any thread, and more than once."""
        # Without the lock: the garbage collector may call this in the midst of anything.
        if self._stopped:
            return
        self._stopped = True
        if self._pid == os.getpid() and self._engine is not None:
            with suppress(RuntimeError):  # it has ended
                self._engine.loop.call_soon_threadsafe(self._engine.loop.stop)

    def _begin_end(self, engine: Engine) -> None:
        async def end() -> None:
            try:
                await engine.aclose()
            finally:
                self.stop()

        self._ending = engine.loop.create_task(end(), name="end of the background loop")

    def _wait(self) -> None:
        signal = native_threads.new_signal()
        try:
            with self._lock:
                if self._begun:
                    return
                self._waiting.append(signal)
            while not signal.wait(LOOK):
                pass
        finally:
            signal.close()

    def _run(self) -> None:
        try:
            loop = asyncio.new_event_loop()
        except Exception as error:  # no descriptors are left, say
            self._error = error
            self._tell_waiting()
            return
        # A task, so that the loop runs from its beginning to its end without a break.
        task = loop.create_task(self._begin())
        loop.run_forever()
        del task
        try:
            _wind_up(loop)
        finally:
            if self._engine is not None:
                self._engine.break_off()

    async def _begin(self) -> None:
        try:
            self._engine = self._make()
        except Exception as error:  # a URL that redis-py does not take, say: the callers' to know
            self._error = error
        if self._engine is None or self._stopped:
            asyncio.get_running_loop().stop()
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        with self._lock:
            self._begun = True
            waiting, self._waiting = self._waiting, []
            for signal in waiting:
                signal.set()


def _wind_up(loop: asyncio.AbstractEventLoop) -> None:
    async def cancel_all() -> None:
        current = asyncio.current_task()
        # Other threads may ask for more meanwhile.
        while tasks := [task for task in asyncio.all_tasks() if task is not current]:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    try:
        while asyncio.all_tasks(loop):  # another thread's may begin in the turn that stops it
            ending = loop.create_task(cancel_all())
            ending.add_done_callback(lambda _: loop.stop())
            while not ending.done():  # it may be told to stop more than once, also now
                loop.run_forever()
            ending.result()
    finally:
        loop.close()
