"""Requests that a check makes itself, of which Django's log is not to tell."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LOGGERS = ("django.request", "django.security.DisallowedHost")

_is_unlogged: ContextVar[bool] = ContextVar("realtime_unlogged_requests", default=False)


@contextmanager
def unlogged_requests() -> Iterator[None]:
    """Have nothing logged of requests that are made in this context, also in its tasks and threads.

    asgiref hands the context on to the threads of views. What others log is logged.
    """
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_is_logged)  # once, and it stays
    token = _is_unlogged.set(True)
    try:
        yield
    finally:
        _is_unlogged.reset(token)


def _is_logged(record: logging.LogRecord) -> bool:
    return not _is_unlogged.get()
