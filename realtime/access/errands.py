"""Small works that nobody waits for, done one after another in a thread of their own."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from shardlayer import Throttle

logger = logging.getLogger(__name__)


class BackgroundErrands:
    """Does works in order. The thread begins with the first; the interpreter's exit waits for it.

    What a work raises is logged, once a minute. After a fork the child begins anew.

    Args:
        name: Of the thread.
        most: Works that may wait.
    """

    def __init__(self, name: str, *, most: int) -> None:
        self._name = name
        self._most = most
        self._complaint = Throttle()
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._waiting = 0
        os.register_at_fork(after_in_child=self._reset)

    def run(self, work: Callable[[], None]) -> bool:
        """Have a work done soon; False if too many wait already."""
        with self._lock:
            if self._waiting >= self._most:
                return False
            self._waiting += 1
            if self._executor is None:
                self._executor = ThreadPoolExecutor(1, thread_name_prefix=self._name)
            self._executor.submit(self._do, work)
        return True

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            if self._complaint.is_due():
                logger.exception("%s: failed: %s", self._name, error)
        finally:
            with self._lock:
                self._waiting -= 1

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._executor = None
        self._waiting = 0
