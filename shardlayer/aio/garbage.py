"""Python's garbage collector, set for a process that holds many objects for long.

A connection is some dozens of objects that live as long as it does. By default the collector runs
for each 700 objects that have become more, and walks through all that there are each time their
number has grown by a quarter: while clients connect, that is a tenth of all CPU, to find nothing.
Connections that end leave no cycles behind, so nothing waits for the collector either.
"""

from __future__ import annotations

import gc

GC_THRESHOLD = 10_000  # objects; see gc.set_threshold


def spare_collections(threshold: int) -> None:
    """Leave what exists now out of all collections to come, and make those rarer.

    For use once, when everything is imported and before the first connection.

    Args:
        threshold: How many more objects there must be since the last collection for the next;
            0 leaves the collector as it is.
    """
    if not threshold:
        return
    gc.collect()
    gc.freeze()
    gc.set_threshold(threshold, *gc.get_threshold()[1:])
