"""Threads of the operating system, and waiting for them, whatever has patched `threading`.

With gevent's `monkey.patch_all()` a `threading.Thread` is a greenlet of the thread that starts it.
An event loop in one is then the running loop of that whole thread: Django refuses every query
there, and asyncio every second loop. So code that needs a thread of
its own gets one of the system's from here. A greenlet that waits for it waits as gevent does, so
that other greenlets go on meanwhile.

eventlet patches the same modules. It is refused, because it has no way to wait for another thread
that this thread could wake.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any, Protocol

from shardlayer.core.exceptions import ConfigurationError

EVENTLET_PATCHES = ("thread", "socket", "select")
EXIT_PATIENCE = 2.0  # seconds for all threads beside gevent to stop, at the interpreter's exit
PARKING_TIME = 0.01  # seconds for the last of them to reach the lock that it waits for ever on


class Signal(Protocol):
    """Tells one thread that another has done something. Made by who waits."""

    def set(self) -> None:
        """Tell it, once. From any thread, and also after its `close`."""

    def wait(self, timeout: float) -> bool:
        """Wait for so many seconds; return whether it was told."""

    def close(self) -> None:
        """Give back what it took. Called by who waited."""


def refuse_eventlet() -> None:
    """Raise ConfigurationError where eventlet has replaced what event loops stand on."""
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and any(map(patcher.is_monkey_patched, EVENTLET_PATCHES)):
        raise ConfigurationError(
            "eventlet has patched this process, and event loops do not run on its threads. Use "
            "workers with threads or with gevent (gunicorn: --worker-class gthread or gevent)."
        )


def is_green() -> bool:
    """Tell whether gevent has made the threads of `threading` into greenlets."""
    monkey = _gevent_monkey()
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def new_lock() -> threading.Lock:
    """Return a lock between the system's threads.

    To be held for some steps, and never while something is waited for: it holds up all greenlets.
    """
    if is_green():
        lock: threading.Lock = _gevent_monkey().get_original("_thread", "allocate_lock")()
        return lock
    return threading.Lock()


def new_signal() -> Signal:
    """Return a signal to this thread, or this greenlet."""
    if "gevent.monkey" in sys.modules and is_green():
        return _GreenSignal()
    return _LockSignal()


def start_thread(run: Callable[[], None], name: str, *, stop: Callable[[], None]) -> None:
    """Run something in a thread of the system, which does not keep the process from ending.

    Args:
        run: What the thread does.
        name: Of the thread.
        stop: Has `run` return soon. Beside gevent it is called at the interpreter's exit, which
            waits for the thread for EXIT_PATIENCE.
    """
    if not is_green():
        threading.Thread(target=run, name=name, daemon=True).start()
        return
    thread = _ThreadBesideGevent(run, stop)
    _beside_gevent.add(thread)
    try:
        _gevent_monkey().get_original("_thread", "start_new_thread")(thread.run, ())
    except BaseException:  # the system has no more threads
        _beside_gevent.discard(thread)
        raise


def is_of_another_greenlet(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether a loop that seems to run here is run by another greenlet of this thread.

    asyncio has no public name for who runs a loop: `_thread_id`, read in Python 3.11 to 3.13.
    gevent's patched `threading.get_ident`, which is what a loop asks, tells greenlets apart.
    """
    return is_green() and getattr(loop, "_thread_id", None) not in (None, threading.get_ident())


def _gevent_monkey() -> Any:
    return sys.modules.get("gevent.monkey")


class _ThreadBesideGevent:
    """A thread of the system in a process that gevent has patched.

    greenlet keeps data of each thread and frees them when the thread ends. If Python is gone by
    then, the process crashes (greenlet 3.5: "it's possible this can still segfault"). So a thread
    that runs at the interpreter's exit stops before, and waits for the end of the process.

    Attributes:
        stop: Has it stop soon.
        pid: The process that it is in. A forked child has only what this object says.
        stopped: A lock that is released when it has stopped.
    """

    def __init__(self, run: Callable[[], None], stop: Callable[[], None]) -> None:
        self._run = run
        self.stop = stop
        self.pid = os.getpid()
        self.stopped = new_lock()
        self.stopped.acquire()

    def run(self) -> None:
        """Do what it is for, then end the hub that its selector made."""
        from gevent import get_hub

        forever = new_lock()  # here, so that nothing is left to do once the exit goes on
        forever.acquire()
        try:
            try:
                self._run()
            finally:
                get_hub().destroy(destroy_loop=True)
        finally:
            _beside_gevent.discard(self)
            self.stopped.release()
            if _exit.is_set():
                forever.acquire()


_beside_gevent: set[_ThreadBesideGevent] = set()
_exit = threading.Event()


@atexit.register
def _stop_beside_gevent() -> None:
    _exit.set()
    running = [thread for thread in list(_beside_gevent) if thread.pid == os.getpid()]
    ends = monotonic() + EXIT_PATIENCE
    for thread in running:
        thread.stop()
    for thread in running:
        thread.stopped.acquire(timeout=max(ends - monotonic(), 0))
    if running:
        _gevent_monkey().get_original("time", "sleep")(PARKING_TIME)


class _LockSignal:
    """A lock is an event, but for what one allocates."""

    __slots__ = ("set", "wait")

    def __init__(self) -> None:
        lock = threading.Lock()
        lock.acquire()
        self.set = lock.release
        self.wait = partial(lock.acquire, True)

    def close(self) -> None:
        """Nothing was taken."""


class _GreenSignal:
    """gevent's own way to wake a greenlet from another thread: a watcher of its hub's loop.

    gevent takes its watchers from one thread alone, but for `send`. The lock keeps another thread
    from sending while this one closes the watcher, or later: an interrupted greenlet waits no
    more, and is told all the same.
    """

    def __init__(self) -> None:
        from gevent import get_hub
        from gevent.event import Event

        self._told = Event()
        self._lock = new_lock()
        self._is_closed = False
        self._watcher = get_hub().loop.async_()
        self._watcher.start(self._told.set)

    def set(self) -> None:
        with self._lock:
            if not self._is_closed:
                self._watcher.send()

    def wait(self, timeout: float) -> bool:
        return bool(self._told.wait(timeout))

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._watcher.stop()
            self._watcher.close()
