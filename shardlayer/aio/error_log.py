"""Errors in the log, however many there are: each kind of them once in a while.

What a client sends may make a project's code fail a hundred times a second, and so does a database
that is away. Each line has a traceback, and a full disk would end more than the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Final

from shardlayer.aio.throttled_log import INTERVAL

LIMIT: Final = 100  # kinds of errors that are told apart; all others count as one more


class ErrorLog:
    """Logs each kind of error at most once a minute, and how many of it came since its last line.

    Errors are of one kind if they are told of with the same message, are of the same type, and were
    raised at the same place.

    Args:
        logger: Where they are logged, as errors.
        clock: Seconds, monotonic.
    """

    __slots__ = ("_clock", "_kinds", "_logger")

    def __init__(
        self, logger: logging.Logger, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._clock = clock
        self._kinds: dict[Hashable, _ErrorKind] = {}

    def __call__(
        self,
        message: str,
        *arguments: object,
        exc_info: BaseException | None = None,
        kind: Hashable = None,
    ) -> None:
        """Log a message with its arguments and perhaps a traceback, or leave it.

        `kind` tells errors apart that differ in something else than their message and place.
        """
        now = self._clock()
        known = self._kind((message, kind, *_origin(exc_info)), now)
        if now < known.due:
            known.left_out += 1
            return
        if known.left_out:
            message += " (%d more like this since the last line.)"
            arguments += (known.left_out,)
        known.left_out, known.due = 0, now + INTERVAL
        self._logger.error(message, *arguments, exc_info=exc_info)

    def forget(self) -> None:
        """Log the next error of each kind, as if it were the first."""
        self._kinds.clear()

    def _kind(self, key: Hashable, now: float) -> _ErrorKind:
        found = self._kinds.get(key)
        if found is None:
            if len(self._kinds) >= LIMIT:
                for old, kind in list(self._kinds.items()):
                    if kind.due <= now:
                        del self._kinds[old]
            if len(self._kinds) >= LIMIT:
                key = None  # the one kind of all for which there is no place
            found = self._kinds.setdefault(key, _ErrorKind())
        return found


class _ErrorKind:
    __slots__ = ("due", "left_out")

    def __init__(self) -> None:
        self.due = float("-inf")  # when there may be a line again
        self.left_out = 0  # errors since the last line


def raised_at(traceback: TracebackType | None) -> tuple[str, int] | None:
    """Return the file and line where an error was raised, by its traceback; None without one."""
    if traceback is None:
        return None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code.co_filename, traceback.tb_lineno


def _origin(error: BaseException | None) -> tuple[object, ...]:
    return () if error is None else (type(error), raised_at(error.__traceback__))
