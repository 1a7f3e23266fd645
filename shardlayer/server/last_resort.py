"""Ending a process that does not end, or work, by itself; it says first where it stands.

`sys._current_frames` is underscored and documented; read in Python 3.11 to 3.14.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import traceback

logger = logging.getLogger(__name__)

EXIT_CODE = 1
LOG_TIMEOUT = 2.0  # seconds for the log to be written: what hangs may hold a lock of its


def stack_of(thread: int) -> str:
    """Return where a thread is just now, as a traceback has it; by its `threading.get_ident()`."""
    frame = sys._current_frames().get(thread)
    return "".join(traceback.format_stack(frame)) if frame is not None else "  (it has ended)\n"


def end_process(reason: str, thread: int) -> None:
    """Log why, and where a thread stands, and end the process without any more ado."""
    text = f"{reason} Its main thread stands at:\n{stack_of(thread)}"
    writer = threading.Thread(target=logger.critical, args=["%s", text], daemon=True)
    writer.start()
    writer.join(LOG_TIMEOUT)
    os._exit(EXIT_CODE)


def end_after(seconds: float, reason: str) -> None:
    """End the process after some seconds, whatever this thread does meanwhile."""
    thread = threading.get_ident()

    def wait() -> None:
        time.sleep(seconds)
        end_process(reason, thread)

    threading.Thread(target=wait, name="end of the process", daemon=True).start()
