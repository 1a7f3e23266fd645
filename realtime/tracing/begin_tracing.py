"""Looking for OpenTelemetry, once for a process."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from django.conf import settings

from shardlayer import set_tracer

if TYPE_CHECKING:
    from realtime.tracing.opentelemetry_tracer import OpenTelemetryTracer

_tracer: OpenTelemetryTracer | None = None


def begin_tracing() -> None:
    """Let traces go on through publications, if OpenTelemetry's SDK is installed.

    Without it nothing is imported. `REALTIME["TRACING"] = False` says no.
    """
    global _tracer
    _tracer = None
    if _is_wanted() and _has_sdk():
        from realtime.tracing.opentelemetry_tracer import OpenTelemetryTracer

        _tracer = OpenTelemetryTracer()
    set_tracer(_tracer)


def current_tracer() -> OpenTelemetryTracer | None:
    """Return the tracer of this process, if it has one."""
    return _tracer


def _is_wanted() -> bool:
    # Not of `conf()`, which raises for wrong settings: the system checks are to tell of those.
    values = getattr(settings, "REALTIME", {})
    return not isinstance(values, Mapping) or values.get("TRACING", True) is not False


def _has_sdk() -> bool:
    try:
        return find_spec("opentelemetry.sdk") is not None
    except ModuleNotFoundError:
        return False
