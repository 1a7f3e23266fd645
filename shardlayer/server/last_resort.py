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
from typing import NoReturn

logger = logging.getLogger(__name__)

EXIT_CODE = 1
LOG_TIMEOUT = 2.0  # seconds for the log to be written: what hangs may hold a lock of its


def stack_of(thread: int, *, within: str = "") -> str:
    """Return where a thread is just now, as a traceback has it.

    Args:
        thread: Its `threading.get_ident()`.
        within: Leave out what is outside of the innermost function of this package.
    """
    frame = sys._current_frames().get(thread)
    if frame is None:
        return "  (it has ended)\n"
    stack = traceback.extract_stack(frame)
    if within:
        inside = [number for number, each in enumerate(stack) if f"/{within}/" in each.filename]
        del stack[: inside[-1] + 1 if inside and inside[-1] + 1 < len(stack) else 0]
    return "".join(stack.format())


def exit_now(code: int) -> NoReturn:
    """End the process with a code, whatever its threads do; what it has written is written."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end_process(reason: str, thread: int) -> None:
    """Log why, and where a thread stands, and end the process without any more ado."""
    text = f"{reason} The process is ended. Its main thread is now at:\n{stack_of(thread)}"
    try:
        writer = threading.Thread(target=logger.critical, args=["%s", text], daemon=True)
        writer.start()
        writer.join(LOG_TIMEOUT)
    finally:  # though no thread can be started
        os._exit(EXIT_CODE)


def end_after(seconds: float, reason: str) -> None:
    """End the process after some seconds, whatever this thread does meanwhile.

    If no thread can be started, that is logged, and nothing ends the process.
    """
    thread = threading.get_ident()

    def wait() -> None:
        time.sleep(seconds)
        end_process(reason, thread)

    try:
        threading.Thread(target=wait, name="end the process in time", daemon=True).start()
    except RuntimeError:
        logger.exception("Nothing ends this process after %g s.", seconds)
