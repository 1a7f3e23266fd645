"""Shows on a terminal how far a replay of dead letters is."""

from __future__ import annotations

import importlib.util
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

PAUSE = 2.0  # seconds between two lines where `rich` is not installed


class ReplayProgress(ABC):
    """Is told after each batch."""

    @abstractmethod
    def show(self, done: int, whole: int) -> None:
        """Show how many letters were dealt with, and of how many."""

    def close(self) -> None:
        """End."""
        return


class NoProgress(ReplayProgress):
    """Shows nothing."""

    def show(self, done: int, whole: int) -> None:
        """Show nothing."""


class ProgressLines(ReplayProgress):
    """A line now and then.

    Args:
        write: Writes a line.
    """

    def __init__(self, write: Callable[[str], Any]) -> None:
        self._write = write
        self._next = time.monotonic() + PAUSE

    def show(self, done: int, whole: int) -> None:
        """Write a line, unless there was one a moment ago."""
        if time.monotonic() >= self._next:
            self._write(f"{done:,} of {whole:,} dead letters")
            self._next = time.monotonic() + PAUSE


class ProgressBar(ReplayProgress):
    """A bar that is gone once the replay has ended."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("Dead letters", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, auto_refresh=False, transient=True)
        self._task = self._progress.add_task("", total=None)
        self._progress.start()

    def show(self, done: int, whole: int) -> None:
        """Draw the bar."""
        self._progress.update(self._task, completed=done, total=whole, refresh=True)

    def close(self) -> None:
        """Take it away."""
        self._progress.stop()


def progress_for(write: Callable[[str], Any]) -> ReplayProgress:
    """Return what shows progress on a terminal: a bar, or lines where `rich` is not installed."""
    return ProgressLines(write) if importlib.util.find_spec("rich") is None else ProgressBar()
