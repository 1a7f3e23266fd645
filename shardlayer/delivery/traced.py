"""What a tracer is told of publications that came with a trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shardlayer.core.tracing import TRACEPARENT_LENGTH, Delivered
from shardlayer.delivery.arrivals import Arrived, told_apart
from shardlayer.delivery.room import LocalRoom


def deliveries_of(
    arrived: Iterable[Arrived], rooms: Mapping[str, LocalRoom], now: float
) -> list[Delivered]:
    """Return the publications of a round that came with a trace, and who has got them.

    One for a room that is behind is told with the rest: it waits here, and follows what is missing.
    `now` is as `time.perf_counter` tells.
    """
    found: list[Delivered] = []
    for part in arrived:
        for index, traceparent in part.traces:
            if index >= len(part.publications) or len(traceparent) != TRACEPARENT_LENGTH:
                continue
            publication = told_apart(part.publications[index])
            room = rooms.get(publication.room)
            if room is not None and room.sinks:
                found.append(
                    Delivered(
                        traceparent,
                        publication.room,
                        publication.offset,
                        len(room.sinks),
                        now - part.at,
                    )
                )
    return found
