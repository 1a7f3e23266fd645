"""Shows a load test while it runs: a line now and then."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from realtime.loadtest.crew.load_figures import LoadFigures, LoadSample

_BRIEFLY: Final = 30  # lines that come each second; then each ten
_SELDOM: Final = 10


class LoadView(ABC):
    """Is told each second."""

    @abstractmethod
    def show(self, figures: LoadFigures, sample: LoadSample) -> None:
        """Show how it goes."""

    @abstractmethod
    def phase(self, text: str) -> None:
        """Say what begins now."""

    def close(self) -> None:
        """End."""
        return


def in_ms(seconds: float | None) -> str:
    """Return a time in milliseconds; "-": there is none."""
    if seconds is None:
        return "-"
    return f"{seconds * 1e3:,.1f}" if seconds < 0.1 else f"{seconds * 1e3:,.0f}"


class PlainView(LoadView):
    """A line each second, later each ten seconds.

    Args:
        write: Writes a line.
    """

    def __init__(self, write: Callable[[str], Any]) -> None:
        self._write = write
        self._lines = 0

    def phase(self, text: str) -> None:
        """Write it."""
        self._write(text)

    def show(self, figures: LoadFigures, sample: LoadSample) -> None:
        """Write a line."""
        self._lines += 1
        if self._lines > _BRIEFLY and self._lines % _SELDOM:
            return
        delays = " / ".join(in_ms(delay) for delay in (sample.p50, sample.p95, sample.p99))
        self._write(
            f"{sample.at:5.0f} s  {sample.connected:,} connected  {sample.deliveries:,.0f}"
            f" deliveries/s  p50 / p95 / p99 {delays} ms  {sample.missed:,} missed"
            f"  busiest process {sample.busiest:.0%}"
        )


class QuietView(LoadView):
    """Shows nothing."""

    def phase(self, text: str) -> None:
        """Say nothing."""

    def show(self, figures: LoadFigures, sample: LoadSample) -> None:
        """Show nothing."""
