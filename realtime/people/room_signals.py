"""Signals for rooms that somebody is in now, or nobody: to start and stop a feed on demand.

They are sent in one process of all, the one that made the room turn or found that it had: at most
once. A process that dies at that moment takes its signal with it. Receivers run in a thread of
their own, one signal after another, in the order in which this process learned of the turns.
"""

from __future__ import annotations

import logging
from functools import partial

from django.db import close_old_connections
from django.dispatch import Signal

from realtime.access.errands import BackgroundErrands
from realtime.clients.client_counters import counters
from shardlayer import Throttle

logger = logging.getLogger(__name__)

MAX_WAITING = 10_000  # signals that wait for receivers; those that come then are dropped

room_occupied = Signal()
"""Somebody is in a room, and nobody was. Receivers get `room`, its name; the sender is None."""

room_vacated = Signal()
"""Nobody is in a room any more, and somebody was. Receivers get `room`, its name."""


_complaint = Throttle()
_errands = BackgroundErrands("room signals", most=MAX_WAITING)


def send_room_signal(room: str, is_occupied: bool) -> None:
    """Have a signal sent soon, if anybody listens. From any thread; waits for nobody."""
    signal = room_occupied if is_occupied else room_vacated
    if signal.has_listeners() and not _errands.run(partial(_send, signal, room)):
        counters.room_signals_dropped += 1
        if _complaint.is_due():
            logger.error("Receivers of room signals are too slow; a signal was dropped.")


def _send(signal: Signal, room: str) -> None:
    close_old_connections()
    try:
        for receiver, outcome in signal.send_robust(sender=None, room=room):
            if isinstance(outcome, Exception) and _complaint.is_due():
                logger.error("%r failed on room %s", receiver, room, exc_info=outcome)
    finally:
        counters.room_signals += 1
        close_old_connections()
