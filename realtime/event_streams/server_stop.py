"""How streams hear that their server stops.

A server waits for the responses that it is sending, and a stream would never end. Our own server
says in the scope that it drains. Other servers say nothing before the last response is sent. There
we handle the signal that stops them, and call their own handler right after ours.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

from realtime.event_streams.open_streams import OpenStreams
from shardlayer import Worker

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def when_server_stops(streams: OpenStreams, worker: Worker | None) -> None:
    """Have the streams of this loop end when the server begins to stop. Again is no error."""
    if worker is not None:
        streams.watch(lambda: worker.is_draining)
    elif not streams.is_watched and threading.current_thread() is threading.main_thread():
        streams.watch()
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            _precede(number, partial(loop.call_soon_threadsafe, streams.end))


def _precede(number: signal.Signals, act: Callable[[], object]) -> None:
    """Have a signal's handler preceded by `act`, if it is a handler that a server has set."""
    before: Any = signal.getsignal(number)
    if not callable(before) or before is signal.default_int_handler:
        return

    def handle(number: int, frame: FrameType | None) -> None:
        with suppress(RuntimeError):  # the loop is closed, and its streams with it
            act()
        before(number, frame)

    signal.signal(number, handle)
