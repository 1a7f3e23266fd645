"""Small jobs that nobody waits for: a thread of their own does them one after another."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from weakref import WeakSet

from realtime.clients.client_counters import counters
from shardlayer import ShardUnavailable, Throttle

logger = logging.getLogger(__name__)

RETRY_PAUSE = 0.5  # seconds until a work is tried again for which Redis was away

Work = Callable[[], None]

_all: WeakSet[BackgroundErrands] = WeakSet()


def drop_errands() -> None:
    """Leave out all works that wait, anywhere in this process, and wait for those under way.

    For tests: what one has begun is not done in the next one, with its settings and its layer.
    """
    for errands in list(_all):
        errands.drop()


class BackgroundErrands:
    """Does works in order, in a thread that ends when there are none.

    A work for which Redis is away is tried again, as long as the program runs: its end waits for
    one more try of each. What fails otherwise is logged, and left out. Where the system starts no
    thread, works wait for the next `run`, or for the end of the program, which does them itself.
    After a fork the child begins anew.

    Args:
        name: Of the thread.
        most: Works that may wait.
        missed: The counter of clients that counts the works that were not done.
    """

    def __init__(self, name: str, *, most: int, missed: str = "sign_outs_untold") -> None:
        self._missed = missed
        self._name = name
        self._most = most
        self._complaint = Throttle()
        self._no_thread = Throttle()
        self._lock = threading.Lock()
        self._works: deque[Work] = deque()
        self._thread: threading.Thread | None = None  # while there are works
        os.register_at_fork(after_in_child=self._begin)
        _all.add(self)

    def run(self, work: Work) -> bool:
        """Have a work done soon; False, and counted, if too many wait already."""
        with self._lock:
            has_place = len(self._works) < self._most
            if has_place:
                self._works.append(work)
            else:
                self._count_missed()
            failure = self._start_thread() if self._thread is None else None
        if failure is not None and self._no_thread.is_due():
            logger.error("%s: %d wait for a thread: %s", self._name, len(self._works), failure)
        return has_place

    def drop(self) -> None:
        """Leave out what waits, also to be tried again; return once nothing is under way."""
        with self._lock:
            self._works.clear()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _start_thread(self) -> Exception | None:
        """Start the thread, or return why the system does not: the caller can't help it."""
        thread = threading.Thread(target=self._run, name=self._name)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            # Registered last, it is called first: while what the works need is still there.
            atexit.unregister(self._finish)
            atexit.register(self._finish)
            return error
        self._thread = thread
        return None

    def _finish(self) -> None:
        """Do here, at the end of the program, what waits for a thread."""
        with self._lock:
            if self._thread is not None:
                return
            self._thread = threading.current_thread()
        self._run()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._works:
                    self._thread = None
                    return
                work = self._works[0]
            while not self._is_done_with(work) and self._is_next(work):
                time.sleep(RETRY_PAUSE)
            with self._lock:
                if self._is_next(work):
                    self._works.popleft()

    def _is_next(self, work: Work) -> bool:
        """Return whether a work was not dropped."""
        return bool(self._works) and self._works[0] is work

    def _is_done_with(self, work: Work) -> bool:
        """Do a work; return whether it is not to be tried again."""
        try:
            work()
            return True
        except ShardUnavailable as error:
            failure: BaseException = error
            is_over = not threading.main_thread().is_alive()
        except BaseException as error:  # one that ends the thread would leave the others waiting
            if isinstance(error, KeyboardInterrupt) and _is_main_thread():
                raise  # Ctrl-C, at the end of the program
            failure, is_over = error, True
        if is_over:
            self._count_missed()
        if is_over or self._complaint.is_due():
            logger.error("%s: failed: %s", self._name, failure, exc_info=failure)
        return is_over

    def _count_missed(self) -> None:
        setattr(counters, self._missed, getattr(counters, self._missed) + 1)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._works = deque()
        self._thread = None


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
