"""Python's garbage collector, set for a process that holds many objects for long.

A connection is some dozens of objects that live as long as it does. By default the collector runs
whenever there are 700 objects more than before. Each time their number has grown by a quarter, it
walks through all of them. While clients connect, that takes a tenth of all CPU, and it finds
nothing: connections that end leave no cycles behind.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

GC_THRESHOLD = 10_000  # objects; see gc.set_threshold

# Objects that Python 3.12 leaves out by itself when it starts: some hundred. Whoever does it later
# leaves out all that is loaded.
FROZEN_BY_PYTHON = 1_000


@contextmanager
def no_collections() -> Iterator[None]:
    """Collect no garbage in this context: for imports, which make many objects that stay.

    The collector walked through them again and again, and found nothing. If code in the context
    turns the collector off, or sets it otherwise, that stays.
    """
    before = gc.get_threshold()
    none = (0, *before[1:])
    gc.set_threshold(*none)
    try:
        yield
    finally:
        if gc.get_threshold() == none:
            gc.set_threshold(*before)


@contextmanager
def spare_collections(threshold: int) -> Iterator[None]:
    """Leave all objects that exist now out of later collections, and make those rarer.

    For use once, when everything is imported and before the first connection. At the end of the
    context the collector is as it was, for code that goes on in the same process. If something was
    left out before, as by a server that forks, all of it stays so: Python can't tell what was left
    out by whom.

    Args:
        threshold: How many more objects there must be since the last collection for the next;
            0 leaves the collector as it is.
    """
    if not threshold:
        yield
        return
    before = gc.get_threshold()
    others_froze = gc.get_freeze_count() > FROZEN_BY_PYTHON
    gc.collect()
    gc.freeze()
    gc.set_threshold(threshold, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if not others_froze:
            gc.unfreeze()


def exit_quickly() -> None:
    """Have this process end without a search for garbage in all that it has loaded.

    Python looks through everything twice as it ends. With Django that is most of 0.2 s of CPU,
    and a supervisor would have to wait for it.
    """
    atexit.register(gc.freeze)
