"""Signals that are sent in a thread of their own, so that an event loop waits for no receiver.

They are sent one after another, in the order in which this process learned of what they say.
Without a receiver nothing is done, and there is no thread.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from django.db import close_old_connections
from django.dispatch import Signal

from realtime.access.errands import BackgroundErrands
from realtime.clients.client_counters import counters
from shardlayer import Throttle

logger = logging.getLogger(__name__)

MAX_WAITING = 10_000  # signals that wait for receivers; those that come then are dropped


class BackgroundSignals:
    """Sends signals of one kind. From any thread; waits for nobody.

    Args:
        name: Of the thread, and in the log.
        sent: The counter of clients that counts them.
        dropped: The counter of those that are dropped, since the receivers are too slow.
        most: Signals that may wait.
    """

    def __init__(self, name: str, *, sent: str, dropped: str, most: int = MAX_WAITING) -> None:
        self._name = name
        self._sent = sent
        self._complaint = Throttle()
        self._errands = BackgroundErrands(name, most=most, missed=dropped)

    def send(self, signal: Signal, **arguments: Any) -> None:
        """Have a signal sent soon, if anybody listens; the sender is None."""
        if not signal.receivers:
            return
        if not self._errands.run(partial(self._send, signal, arguments)) and (
            self._complaint.is_due()
        ):
            logger.error("Receivers of %s are too slow; a signal was dropped.", self._name)

    def _send(self, signal: Signal, arguments: dict[str, Any]) -> None:
        close_old_connections()
        try:
            for receiver, outcome in signal.send_robust(sender=None, **arguments):
                if isinstance(outcome, Exception) and self._complaint.is_due():
                    logger.error("%r failed on %s", receiver, arguments, exc_info=outcome)
        finally:
            setattr(counters, self._sent, getattr(counters, self._sent) + 1)
            close_old_connections()
