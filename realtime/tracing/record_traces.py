"""Traces that come with records, in the header `traceparent` as W3C names it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from realtime.tracing.begin_tracing import current_tracer

if TYPE_CHECKING:
    from realtime.tracing.opentelemetry_tracer import OpenSpan, OpenTelemetryTracer

HEADER = "traceparent"


@contextmanager
def publishing_records(records: Iterable[tuple[str, Any]]) -> Iterator[Mapping[int, bytes]]:
    """Yield the traceparent of each record that has one, by index, while they are published.

    A span of each ends with the block. Takes (room, record); a record without `headers` has none.
    """
    tracer = current_tracer()
    spans = {} if tracer is None else _spans(tracer, records)
    if not spans:
        yield {}
        return
    error: BaseException | None = None
    try:
        yield {index: span.traceparent for index, span in spans.items() if span.traceparent}
    except BaseException as raised:
        error = raised
        raise
    finally:
        for span in spans.values():
            span.end(error)


def _spans(tracer: OpenTelemetryTracer, records: Iterable[tuple[str, Any]]) -> dict[int, OpenSpan]:
    found: dict[int, OpenSpan] = {}
    for index, (room, record) in enumerate(records):
        for name, value in getattr(record, "headers", ()):
            if name == HEADER and value is not None:
                span = tracer.publishing_record(value, room, record)
                if span is not None:
                    found[index] = span
                break
    return found
