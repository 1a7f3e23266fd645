"""Signals for rooms that became occupied or empty, for example to start and stop a feed on demand.

Each is sent at most once, in one process of all: the one that changed the room, or noticed the
change. A process that dies at that moment takes its signal with it. Receivers run in a thread of
their own, one signal after another, in the order in which this process learned of the changes.
"""

from __future__ import annotations

from django.dispatch import Signal

from realtime.background_signals import BackgroundSignals

room_occupied = Signal()
"""Somebody is in a room, and nobody was. Receivers get `room`, its name; the sender is None."""

room_vacated = Signal()
"""Nobody is in a room any more, and somebody was. Receivers get `room`, its name."""

_signals = BackgroundSignals("room signals", sent="room_signals", dropped="room_signals_dropped")


def send_room_signal(room: str, is_occupied: bool) -> None:
    """Have a signal sent soon, if anybody listens. From any thread; waits for nobody."""
    _signals.send(room_occupied if is_occupied else room_vacated, room=room)
