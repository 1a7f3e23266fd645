"""Errors that Twisted has caught, in the log.

An error in a timer or in a protocol reaches no caller: Twisted catches it and logs it. Daphne
throws Twisted's log away, unless its verbosity is 2 or more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from shardlayer.aio.error_log import ErrorLog, raised_at

logger = logging.getLogger(__name__)


@contextmanager
def twisted_errors_logged() -> Iterator[None]:
    """Log what Twisted logs as an error, meanwhile; each kind at most once a minute."""
    observer: Any = ErrorObserver()  # mypy does not see that it is an ILogObserver
    globalLogPublisher.addObserver(observer)
    try:
        yield
    finally:
        globalLogPublisher.removeObserver(observer)


class ErrorObserver:
    """Takes all events of Twisted's log, and passes on those that tell of errors."""

    def __init__(self) -> None:
        self._log = ErrorLog(logger)

    def __call__(self, event: LogEvent) -> None:
        """Log an event, if it tells of an error."""
        if event.get("log_level", LogLevel.info) < LogLevel.error:
            return
        failure = event.get("log_failure")
        error = None if failure is None else failure.value
        namespace = event.get("log_namespace")
        # An event of Twisted's older log has its failure elsewhere, and the traceback in its text.
        kind = (namespace, event.get("log_format"), *_origin(failure or event.get("failure")))
        text = formatEvent(event) or namespace
        self._log("Twisted caught an error: %s", text, exc_info=error, kind=kind)


def _origin(failure: Failure | None) -> tuple[object, ...]:
    """Return what was raised, and where."""
    if failure is None:
        return ()
    traceback: Any = failure.getTracebackObject()  # type: ignore[no-untyped-call]
    return (failure.type, raised_at(traceback))
