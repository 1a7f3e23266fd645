"""What `/metrics` is answered, as values, for Django and for ASGI."""

from __future__ import annotations

from typing import NamedTuple

from realtime.health.health_answers import Asker
from realtime.metrics.sampling import current
from realtime.metrics.snapshots import read_snapshots

_PLAIN = "text/plain; charset=utf-8"


class MetricsAnswer(NamedTuple):
    """A response.

    Attributes:
        status: 200; 403 to those who may not know; 501 without the extra `metrics`.
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
    sampling = current()
    if sampling is None:
        snapshots = []
    elif sampling.directory is None:
        snapshots = [sampling.snapshot()]
    else:
        sampling.save()
        snapshots = list(read_snapshots(sampling.directory))
    body, content_type = exposition(snapshots, accept)
    return MetricsAnswer(200, body, content_type)
