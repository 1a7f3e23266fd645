"""Spans of OpenTelemetry: one for publishing, one for each node that delivers.

A span begins only where a sampled trace is under way: in a request that an instrumentation traces,
or with a record whose headers name one. So what nobody traces costs a look at the context.

Names and attributes follow
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

from shardlayer import Delivered, Throttle

logger = logging.getLogger(__name__)

MAX_ROOMS = 10  # that a span names, of those that one call publishes to
SYSTEM = "shardlayer"

_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class OpenTelemetryTracer:
    """Satisfies `shardlayer.Tracer`. Thread-safe."""

    def __init__(self) -> None:
        self._tracer = trace.get_tracer("shardlayer")  # goes by a provider that is set later, too
        self._complaint = Throttle()

    def publishing(self, rooms: Sequence[str]) -> OpenSpan | None:
        """Begin a span below the current one, if that is sampled."""
        parent = trace.get_current_span().get_span_context()
        if not parent.is_valid or not parent.trace_flags.sampled:
            return None
        return OpenSpan(
            self._tracer.start_span(
                "shardlayer publish",
                kind=SpanKind.PRODUCER,
                attributes=_attributes("send", rooms),
            )
        )

    def publishing_record(self, traceparent: bytes, room: str, record: Any) -> OpenSpan | None:
        """Begin a span below the one that a record's header names, if that is sampled."""
        parent = _remote(traceparent)
        if parent is None:
            return None
        return OpenSpan(
            self._tracer.start_span(
                "shardlayer publish",
                context=parent,
                kind=SpanKind.CONSUMER,
                attributes={
                    **_attributes("process", [room]),
                    "messaging.kafka.offset": record.offset,
                    "messaging.destination.partition.id": str(record.partition),
                    "shardlayer.kafka.topic": record.topic,
                },
            )
        )

    def delivered(self, publications: Sequence[Delivered]) -> None:
        """Record a span for each. What goes wrong is logged, once a minute."""
        now = time.time_ns()
        try:
            for publication in publications:
                parent = _remote(publication.traceparent)
                if parent is None:
                    continue
                span = self._tracer.start_span(
                    "shardlayer deliver",
                    context=parent,
                    kind=SpanKind.CONSUMER,
                    start_time=now - int(publication.seconds * 1e9),
                    attributes={
                        **_attributes("process", [publication.room]),
                        "shardlayer.offset": publication.offset,
                        "shardlayer.members": publication.members,
                    },
                )
                span.end(end_time=now)
        except Exception as error:  # of a project's processor or exporter
            if self._complaint.is_due():
                logger.warning("A delivery can't be traced: %s", error, exc_info=True)


class OpenSpan:
    """Satisfies `shardlayer.PublishSpan`."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.traceparent = _traceparent(span.get_span_context())

    def end(self, error: BaseException | None) -> None:
        """End it, and say why it failed."""
        if error is not None:
            self._span.record_exception(error)
            self._span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        self._span.end()


def _attributes(operation: str, rooms: Sequence[str]) -> Mapping[str, Any]:
    found: dict[str, Any] = {
        "messaging.system": SYSTEM,
        "messaging.operation.type": operation,
        "messaging.batch.message_count": len(rooms),
    }
    if len(rooms) == 1:
        found["messaging.destination.name"] = rooms[0]
        del found["messaging.batch.message_count"]
    else:
        found["shardlayer.rooms"] = list(dict.fromkeys(rooms))[:MAX_ROOMS]
    return found


def _traceparent(context: SpanContext) -> bytes:
    """Return what names a span to others; nothing if it is not sampled: they would do nothing."""
    if not context.is_valid or not context.trace_flags.sampled:
        return b""
    return b"00-%032x-%016x-%02x" % (context.trace_id, context.span_id, context.trace_flags)


def _remote(traceparent: bytes) -> Context | None:
    """Return the context that a traceparent names; None if it is none, or is not sampled."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    context = SpanContext(
        trace_id=int(found[1], 16),
        span_id=int(found[2], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(found[3], 16)),
    )
    if not context.is_valid or not context.trace_flags.sampled:
        return None
    return trace.set_span_in_context(NonRecordingSpan(context), Context())
