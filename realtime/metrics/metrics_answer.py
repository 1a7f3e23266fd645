"""What `/metrics` is answered, as values, for Django and for ASGI."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

from realtime.conf import conf
from realtime.health.health_answers import Asker
from realtime.metrics.sampling import current
from realtime.metrics.snapshots import Snapshot, read_snapshots
from shardlayer import Throttle

logger = logging.getLogger(__name__)

NOBODY_TELLS = (
    'No process tells figures: asgi.py needs realtime.lifespan.lifespan as its "lifespan", and '
    "the server must run it, as shardlayer-daphne does."
)

_complaint = Throttle()
_PLAIN = "text/plain; charset=utf-8"


class MetricsAnswer(NamedTuple):
    """A response.

    Attributes:
        status: 200; 403 to those who may not know; 501 without the extra `metrics`; 503 if there
            is no figure at all.
        body: The figures, or one line that says what is wrong.
        content_type: Its header.
    """

    status: int
    body: bytes
    content_type: str


def metrics_answer(asker: Asker, accept: str) -> MetricsAnswer:
    """Answer with the figures of all processes on this machine, in a format that is accepted.

    Those of other processes are a second old.
    """
    if not asker.may_know:
        return MetricsAnswer(403, b"Ask from this machine, or with HEALTH_KEY.\n", _PLAIN)
    try:
        from realtime.metrics.exposition import exposition
    except ModuleNotFoundError as error:
        missing = f"{error.name} is missing: pip install 'shardlayer[metrics]'\n"
        return MetricsAnswer(501, missing.encode(), _PLAIN)
    snapshots = _snapshots()
    if not snapshots and _complaint.is_due():
        logger.warning(NOBODY_TELLS)
    body, content_type = exposition(snapshots, accept)
    if not body:
        return MetricsAnswer(503, f"{NOBODY_TELLS}\n".encode(), _PLAIN)
    return MetricsAnswer(200, body, content_type)


def _snapshots() -> list[Snapshot]:
    sampling = current()
    if sampling is None:  # a server without lifespan: others may have written
        directory = conf().metrics_directory
        return list(read_snapshots(Path(directory))) if directory else []
    return sampling.snapshots()
