"""The project's settings, as a process whose spans stay in its memory has them.

At its end it writes them to the file that `SPANS` names, one JSON object a line.
"""

import atexit
import json
import os
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from config.settings import *  # noqa: F403
from config.settings import REALTIME

ROOT_URLCONF = "tests.realtime.tracing.traced_urls"
REALTIME["ROOMS"] = {"*": {"subscribe": "anyone"}}
REALTIME["TRACING"] = os.environ.get("TRACING", "1") == "1"

memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)


def write_spans() -> None:
    """Write what the process remembers."""
    lines = [
        json.dumps(
            {
                "name": span.name,
                "kind": span.kind.name,
                "trace": f"{span.context.trace_id:032x}",
                "id": f"{span.context.span_id:016x}",
                "parent": f"{span.parent.span_id:016x}" if span.parent else "",
                "attributes": dict(span.attributes or {}),
                "status": span.status.status_code.name,
                "start": span.start_time,
                "end": span.end_time,
            }
        )
        for span in memory.get_finished_spans()
        if span.context is not None
    ]
    Path(os.environ["SPANS"]).write_text("".join(f"{line}\n" for line in lines))


atexit.register(write_spans)
