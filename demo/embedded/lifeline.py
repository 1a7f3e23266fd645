"""A process that ends when its parent does, however the parent ended (kill -9 too)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None)  # loaded here, since little is allowed between fork and exec


def end_with_parent(parent: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Ask the kernel for a signal when the parent ends; it holds across exec.

    "The parent" is the thread that forked (prctl(2)), so only a main thread should. Linux only:
    elsewhere this does nothing, and a killed parent leaves this process running.

    Args:
        parent: The process id of the parent. If it is gone already, the signal would never
            come, so it is sent here.
        number: The signal; SIGKILL for a program that may not obey SIGTERM.
    """
    if sys.platform != "linux":
        return
    _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)
