"""Whether Prometheus gets figures of all processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from realtime.checkup.finding import CheckRequest, Finding, fault, ok, warning
from realtime.conf import conf
from realtime.metrics.slots import MetricsDirectoryError, require_own

LEAST_ROOM = 64 * 1024 * 1024  # bytes that should be free on the disk


def check_metrics(asked: CheckRequest) -> Iterator[Finding]:
    """Yield what keeps figures from being written or read."""
    configured = conf().metrics_directory
    if find_spec("prometheus_client") is None:
        if configured:
            yield warning(
                "METRICS_DIRECTORY is set, but prometheus_client is not installed: /metrics "
                "has no figures.",
                "pip install 'shardlayer[metrics]'",
            )
        else:
            yield ok("Not used: prometheus_client is not installed.")
        return
    if not configured:
        yield ok(
            "METRICS_DIRECTORY is not set: /metrics shows only the process that answers. Set it "
            "if this machine runs several."
        )
        return
    yield _directory(Path(configured))


def _directory(directory: Path) -> Finding:
    if directory.exists():
        place = directory
    else:  # the first process makes it
        place = next(parent for parent in directory.absolute().parents if parent.exists())
    try:
        if place is directory:
            require_own(directory)
        if not os.access(place, os.W_OK | os.X_OK):
            raise MetricsDirectoryError(f"{place} can't be written to by this user")
    except MetricsDirectoryError as error:
        return fault(
            f"METRICS_DIRECTORY: {error}",
            "Give all processes of this machine one user and a directory of its own, mode 0700.",
        )
    found = os.statvfs(place)
    if found.f_bavail * found.f_frsize < LEAST_ROOM:
        return warning(
            f"METRICS_DIRECTORY: less than {LEAST_ROOM // 2**20} MiB are free at {place}.",
            "Free some space there. While it is full, figures of Django are not shared.",
        )
    return ok(f"All processes of this machine share their figures in {directory}.")
