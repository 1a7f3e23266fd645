"""The signals that ask for the end: the first begins it, a second is not waited for."""

from __future__ import annotations

import atexit
import signal
from collections.abc import Callable
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def on_stop_signal(begin: Callable[[signal.Signals], object]) -> None:
    """Call `begin` in the main thread on the first signal, between two steps of whatever runs.

    Both signals then have their default effect again: the kernel ends the process on the second,
    even if it hangs. One that ends by itself, as after a drain, ends as it would have if the first
    comes while Python winds up.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        atexit.unregister(ignore)
        _have(signal.SIG_DFL)
        begin(signal.Signals(number))

    def ignore() -> None:
        # Python calls no handler any more after this, but gives back the default effect of each.
        _have(signal.SIG_IGN)

    _have(handle)
    atexit.register(ignore)


def _have(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for each in SIGNALS:
        signal.signal(each, handler)
