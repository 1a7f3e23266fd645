"""The signals that ask for the end: the first begins it, a second is not waited for."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def on_stop_signal(begin: Callable[[signal.Signals], object]) -> None:
    """Call `begin` in the main thread on the first signal, between two steps of whatever runs.

    Both signals then have their default effect again: the kernel ends the process on the second,
    even if it hangs.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        begin(signal.Signals(number))

    for each in SIGNALS:
        signal.signal(each, handle)
