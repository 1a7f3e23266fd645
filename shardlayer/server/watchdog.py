"""Notices that the event loop stands still: a blocking call serves nobody while it lasts.

The loop beats; a thread listens. Beats that come late are counted. When none has come for long,
the thread logs where the loop's thread stands and ends the process, so that its supervisor starts
it again. What holds Python's global lock all the while, as a regular expression may, holds up this
thread as well: then a thread of `faulthandler`, which needs no lock, does the same after twice the
time.

The thread counts its own pauses. So a process that was suspended for a while is not taken for one
that hangs, unless that lasted for twice the time, too.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import sys
import threading
from contextlib import suppress

from shardlayer.aio.ticks import next_tick
from shardlayer.server.last_resort import end_process, stack_of
from shardlayer.server.server_counters import counters

logger = logging.getLogger(__name__)

HANG_TIMEOUT = 30.0  # seconds
BLOCKING_THRESHOLD = 0.2  # seconds
BEAT = 0.1  # seconds between two beats; each wakes an idle process, and costs it 0.1 ms
LONGEST_PAUSE = 1.0  # seconds between two looks of the thread


class Watchdog:
    """Watches one event loop. Made in its thread.

    Args:
        hang_timeout: Seconds without a beat after which the process is ended; 0: never.
        blocking: Seconds that count as blocking; 0: nothing does.

    Attributes:
        shows_stacks: Whether to log where the loop is blocked; costs a thread that wakes 20 times
            a second, and is for development.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, hang_timeout: float, blocking: float
    ) -> None:
        self.shows_stacks = False
        self._loop = loop
        self._hang_timeout = hang_timeout
        self._blocking = blocking
        self._thread = threading.get_ident()
        self._beats = 0
        self._beaten_at = 0.0
        self._due = 0.0  # when the next beat is
        self._shown = -1  # the beat after which the stack was logged
        self._timer: asyncio.Handle | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin when the loop runs."""
        if self._hang_timeout or self._blocking:
            self._timer = self._loop.call_soon(self._first_beat)

    def stop(self) -> None:
        """Watch no more: the loop ends."""
        self._stopped.set()
        faulthandler.cancel_dump_traceback_later()
        if self._timer is not None:
            self._timer.cancel()

    # In the loop.

    def _first_beat(self) -> None:
        self._beat_next(self._loop.time())
        threading.Thread(target=self._watch, name="watchdog of the event loop", daemon=True).start()
        self._arm()  # after that: without the thread nobody would call it again

    def _beat(self) -> None:
        now = self._loop.time()
        # What blocked the loop began somewhere between the last beat and when this one was due.
        blocked = now - (self._beaten_at + self._due) / 2
        if 0 < self._blocking <= blocked:
            counters.loop_blocked += 1
            if self.shows_stacks and self._shown != self._beats:
                text = "The event loop was blocked for %.2f s; it runs again."
                logger.warning(text, blocked)
        self._beats += 1
        self._beat_next(now)

    def _beat_next(self, now: float) -> None:
        self._beaten_at = now
        self._due = next_tick(now, BEAT)
        self._timer = self._loop.call_at(self._due, self._beat)

    # In the thread.

    def _watch(self) -> None:
        beats, stood = -1, 0.0
        while not self._stopped.wait(pause := self._pause()):
            if self._beats != beats:
                beats, stood = self._beats, 0.0
                self._arm()
                continue
            stood += pause
            self._show(beats)
            if 0 < self._hang_timeout <= stood:
                end_process(
                    f"The event loop has stood still for {self._hang_timeout:g} s.", self._thread
                )

    def _pause(self) -> float:
        if self.shows_stacks and self._blocking:
            return BEAT / 2
        return min(LONGEST_PAUSE, self._hang_timeout / 4) if self._hang_timeout else LONGEST_PAUSE

    def _show(self, beats: int) -> None:
        blocked = self._loop.time() - self._beaten_at
        if self.shows_stacks and 0 < self._blocking <= blocked and self._shown != beats:
            self._shown = beats
            text = "The event loop has been blocked for %.2f s. It is now at:\n%s"
            logger.warning(text, blocked, stack_of(self._thread, within="asyncio"))

    def _arm(self) -> None:
        """Have `faulthandler` end the process if this is not called again in time."""
        if self._hang_timeout and sys.__stderr__ is not None:
            with suppress(ValueError, OSError, RuntimeError):  # stderr is closed, or no file
                faulthandler.dump_traceback_later(
                    2 * self._hang_timeout, exit=True, file=sys.__stderr__
                )
