"""Writes this process's figures down each second, in a thread that its event loop can't hold up.

The thread runs only where processes share a directory. Without one, `/metrics` reads the figures
of the process that answers.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path

from realtime.conf import conf
from realtime.metrics.figures import read_all
from realtime.metrics.loop_looks import LoopLooks
from realtime.metrics.metric_sources import Measured, Sources
from realtime.metrics.slots import MetricsDirectoryError, Slot
from realtime.metrics.snapshots import Snapshot, forget_snapshot, read_snapshots, write_snapshot
from shardlayer import Throttle

logger = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between two snapshots
ALONE = 0  # the number of a process that shares no directory with others


class Sampling:
    """The figures of a process, from `start` to `stop`.

    Args:
        process: What there is to tell of it.
        loop: Its event loop, whose delay is measured.
        directory: Where its snapshots go; None: nowhere.

    Raises:
        MetricsDirectoryError: The directory can't be used.
    """

    def __init__(
        self, process: Measured, loop: asyncio.AbstractEventLoop, directory: Path | None
    ) -> None:
        self.process = process
        self.directory = directory
        self._looks = LoopLooks(loop, process.loop_delays)
        self._slot = None if directory is None else Slot(directory, process.role)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None  # once the system has started it
        self._loop = loop
        self._next_try: asyncio.TimerHandle | None = None  # to start the thread
        self._complaint = Throttle()

    def start(self) -> None:
        """Begin, in the event loop. Where the system starts no thread, it is asked again later."""
        self._looks.start()
        if self._slot is not None:
            self._start_thread()

    def stop(self) -> None:
        """End, and leave nothing behind."""
        self._looks.stop()
        self._stop.set()
        if self._next_try is not None:
            self._next_try.cancel()
        if self._thread is not None:
            self._thread.join(INTERVAL)
        if self._slot is not None and self.directory is not None:
            try:
                forget_snapshot(self.directory, self._slot.name)
            except OSError as error:  # who reads it finds that nobody holds its number
                logger.warning("The figures of this process can't be deleted: %s", error)
            self._slot.release()

    def snapshot(self) -> Snapshot:
        """Return the figures now."""
        return Snapshot(
            role=self.process.role,
            worker=ALONE if self._slot is None else self._slot.number,
            figures=read_all(Sources(self.process)),
        )

    def snapshots(self) -> list[Snapshot]:
        """Return the figures of all processes: this one's as they are, others' as written."""
        own = self.snapshot()
        if self.directory is None:
            return [own]
        written = read_snapshots(self.directory)
        return [
            own,
            *(each for each in written if (each.role, each.worker) != (own.role, own.worker)),
        ]

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:  # no reason not to serve
            if self._complaint.is_due():
                logger.error("The figures are not written; no thread can be started: %s", error)
            self._next_try = self._loop.call_later(INTERVAL, self._start_thread)
        else:
            self._thread = thread

    def _save(self) -> None:
        if self._slot is None or self.directory is None:
            return
        if self._slot.is_lost:  # the directory was emptied, or is gone
            lost, self._slot = self._slot, Slot(self.directory, self.process.role)
            lost.release()
        write_snapshot(self.directory, self.snapshot())

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL):
            try:
                self._save()
            except Exception as error:  # a full disk, say: the next second may do better
                if self._complaint.is_due():
                    logger.warning("The figures can't be written: %s", error, exc_info=True)


_current: Sampling | None = None


def current() -> Sampling | None:
    """Return the sampling of this process, if it has begun."""
    return _current


def start_sampling(process: Measured) -> None:
    """Begin with the figures of this process, from its event loop. Once for a process.

    A directory that can't be used is logged; the process's own figures are there all the same.
    """
    global _current  # one for a process
    configured = conf().metrics_directory
    loop = asyncio.get_running_loop()
    try:
        sampling = Sampling(process, loop, Path(configured) if configured else None)
    except MetricsDirectoryError as error:
        shown = "nothing of this process" if process.balancer else "only this process's own figures"
        logger.error("/metrics shows %s: %s", shown, error)
        sampling = Sampling(process, loop, None)
    stop_sampling()
    _current = sampling
    sampling.start()


def stop_sampling() -> None:
    """End, if it has begun."""
    global _current
    sampling, _current = _current, None
    if sampling is not None:
        sampling.stop()
