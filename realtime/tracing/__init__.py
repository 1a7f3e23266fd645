"""Traces with OpenTelemetry, where its SDK is installed: from a record or a request to delivery.

`begin_tracing` looks for it; `opentelemetry_tracer` is what the layer tells, and the one module
that imports it; `record_traces` goes on from the headers of a record.
"""
