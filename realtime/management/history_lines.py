"""A publication of a room's history as a line for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from realtime.management.tables import harmless
from realtime.rooms.listing import local_time, source_of
from shardlayer import Publication


def history_lines(publications: Sequence[Publication]) -> Iterator[str]:
    """Yield offset, time, source and data of each; what is not known or not there is left out."""
    width = max((len(str(item.offset)) for item in publications), default=0)
    for item in publications:
        source, place = source_of(item)
        parts = (
            f"{item.offset:>{width}}",
            local_time(item.time),
            harmless(f"{source}:{place}".encode()) if source else "",
            harmless(item.data),
        )
        yield "  ".join(part for part in parts if part)
