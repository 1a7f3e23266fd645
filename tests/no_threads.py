"""A system that starts no thread, as at the limit of a user or of a container."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

TOO_LARGE = 2**50  # bytes of a stack, for which no address space is large enough


@contextmanager
def no_more_threads() -> Iterator[None]:
    """Have the system start no thread."""
    before = threading.stack_size(TOO_LARGE)
    try:
        yield
    finally:
        threading.stack_size(before)
