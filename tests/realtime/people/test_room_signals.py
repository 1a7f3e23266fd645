"""The thread that sends signals: bounded, in order, and nothing without a receiver."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from realtime.background_signals import BackgroundSignals
from realtime.clients.client_counters import counters
from realtime.people import room_signals
from realtime.people.room_signals import room_occupied, room_vacated, send_room_signal
from tests.waiting import wait_until


def test_slow_receivers_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded; what comes then is dropped, and counted."""
    signals = BackgroundSignals(
        "room signals", sent="room_signals", dropped="room_signals_dropped", most=4
    )
    monkeypatch.setattr(room_signals, "_signals", signals)
    goes_on, began = threading.Event(), threading.Event()
    heard: list[tuple[str, bool]] = []

    def occupied(room: str, **_: Any) -> None:
        began.set()
        goes_on.wait(30)
        heard.append((room, True))

    def vacated(room: str, **_: Any) -> None:
        heard.append((room, False))

    room_occupied.connect(occupied)
    room_vacated.connect(vacated)
    sent, dropped = counters.room_signals, counters.room_signals_dropped
    try:
        send_room_signal("a", True)
        assert began.wait(30)
        for number in range(5):
            send_room_signal(f"b{number}", False)
        assert counters.room_signals_dropped == dropped + 2
        goes_on.set()
        wait_until(lambda: counters.room_signals == sent + 4)
    finally:
        goes_on.set()
        room_occupied.disconnect(occupied)
        room_vacated.disconnect(vacated)
    assert heard == [("a", True), ("b0", False), ("b1", False), ("b2", False)]


def test_nobody_listens() -> None:
    """Then there is nothing to do, and no thread."""
    sent = counters.room_signals
    send_room_signal("a", True)
    assert counters.room_signals == sent
