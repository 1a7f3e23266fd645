"""Signals for rooms that somebody is in now, or nobody: to start and stop a feed on demand.

They are sent in one process of all, the one that made the room turn or found that it had: at most
once. A process that dies at that moment takes its signal with it. Receivers run in a thread of
their own, one signal after another, in the order in which this process learned of the turns.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from django.db import close_old_connections
from django.dispatch import Signal

from realtime.clients.client_counters import counters
from shardlayer import Throttle

logger = logging.getLogger(__name__)

MAX_WAITING = 10_000  # signals that wait for receivers; those that come then are dropped

room_occupied = Signal()
"""Somebody is in a room, and nobody was. Receivers get `room`, its name; the sender is None."""

room_vacated = Signal()
"""Nobody is in a room any more, and somebody was. Receivers get `room`, its name."""


class _Sender:
    """Sends signals in order, in a thread that begins with the first."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, bool]] = deque()
        self._executor: ThreadPoolExecutor | None = None
        self._complaint = Throttle()
        os.register_at_fork(after_in_child=self._reset)

    def send(self, room: str, is_occupied: bool) -> None:
        """Have a signal sent soon. From any thread; waits for nobody."""
        if not (room_occupied if is_occupied else room_vacated).has_listeners():
            return
        if len(self._waiting) >= MAX_WAITING:
            counters.room_signals_dropped += 1
            if self._complaint.is_due():
                logger.error("Receivers of room signals are too slow; a signal was dropped.")
            return
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="room signals")
        self._waiting.append((room, is_occupied))
        self._executor.submit(self._send_next)

    def _send_next(self) -> None:
        room, is_occupied = self._waiting.popleft()
        signal = room_occupied if is_occupied else room_vacated
        close_old_connections()
        for receiver, outcome in signal.send_robust(sender=None, room=room):
            if isinstance(outcome, Exception) and self._complaint.is_due():
                logger.error("%r failed on room %s", receiver, room, exc_info=outcome)
        counters.room_signals += 1
        close_old_connections()

    def _reset(self) -> None:
        self._waiting.clear()
        self._executor = None


_sender = _Sender()
send_room_signal = _sender.send
"""Watches the rooms of a layer: one object, so that a layer has it once."""
