"""Small works that nobody waits for, done one after another in a thread of their own."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable

from realtime.clients.client_counters import counters
from shardlayer import ShardUnavailable, Throttle

logger = logging.getLogger(__name__)

RETRY_PAUSE = 0.5  # seconds until a work is tried again for which Redis was away

Work = Callable[[], None]


class BackgroundErrands:
    """Does works in order, in a thread that ends when there are none.

    A work for which Redis is away is tried again, as long as the program runs: its end waits for
    one more try of each. What fails otherwise is logged, and left out. After a fork the child
    begins anew.

    Args:
        name: Of the thread.
        most: Works that may wait.
    """

    def __init__(self, name: str, *, most: int) -> None:
        self._name = name
        self._most = most
        self._complaint = Throttle()
        self._lock = threading.Lock()
        self._works: deque[Work] = deque()
        self._is_running = False
        os.register_at_fork(after_in_child=self._begin)

    def run(self, work: Work) -> bool:
        """Have a work done soon; False, and counted, if too many wait already."""
        with self._lock:
            if len(self._works) >= self._most:
                counters.sign_outs_untold += 1
                return False
            self._works.append(work)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name=self._name).start()
        return True

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._works:
                    self._is_running = False
                    return
                work = self._works[0]
            while not self._is_done_with(work):
                time.sleep(RETRY_PAUSE)
            with self._lock:
                self._works.popleft()

    def _is_done_with(self, work: Work) -> bool:
        """Do a work; return whether it is not to be tried again."""
        try:
            work()
            return True
        except ShardUnavailable as error:
            failure: Exception = error
            is_over = not threading.main_thread().is_alive()
        except Exception as error:
            failure, is_over = error, True
        counters.sign_outs_untold += is_over
        if is_over or self._complaint.is_due():
            logger.error("%s: failed: %s", self._name, failure, exc_info=failure)
        return is_over

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._works = deque()
        self._is_running = False
