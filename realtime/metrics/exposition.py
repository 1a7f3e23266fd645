"""The figures as Prometheus reads them. Needs the extra `metrics`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from realtime.metrics.figures import FIGURES, PREFIX, Figure
from realtime.metrics.snapshots import Snapshot

_FAMILIES = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}
OURS = ("role", "worker")  # labels that all figures have


class SnapshotCollector(Collector):
    """Gives Prometheus what some processes have written down."""

    def __init__(self, snapshots: Iterable[Snapshot]) -> None:
        self._snapshots = list(snapshots)

    def collect(self) -> Iterator[Metric]:
        """Yield each figure that any of the processes has."""
        for figure in FIGURES:
            found = [
                ((snapshot.role, str(snapshot.worker)), snapshot.figures[figure.name])
                for snapshot in self._snapshots
                if figure.name in snapshot.figures
            ]
            if found:
                yield _family(figure, found)


def exposition(snapshots: Iterable[Snapshot], accept: str) -> tuple[bytes, str]:
    """Return the text, and its content type, of these figures and of Django's own.

    Args:
        snapshots: The figures.
        accept: The request's header of that name.
    """
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(snapshots))
    if os.path.isdir(os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")):  # it may be deleted by now
        share: Any = MultiProcessCollector
        share(registry)  # django-prometheus' of all processes
    else:
        registry.register(_Others())
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Others(Collector):
    """What else there is in this process: django-prometheus', Python's, the project's own."""

    def collect(self) -> Iterator[Metric]:
        yield from REGISTRY.collect()


def _family(figure: Figure, found: Sequence[tuple[tuple[str, ...], Any]]) -> Metric:
    name, help = PREFIX + figure.name, f"{figure.help}."
    if figure.kind == "histogram":
        histogram = HistogramMetricFamily(name, help, labels=OURS)
        for labels, value in found:
            histogram.add_metric(labels, _buckets(value), value["sum"])
        return histogram
    labels = (*OURS, *figure.labels)
    family: Any = _FAMILIES[figure.kind](name.removesuffix("_total"), help, labels=labels)
    for ours, value in found:
        if isinstance(value, Mapping):
            for label, number in value.items():
                values = label.split(",") if len(figure.labels) > 1 else (label,)
                family.add_metric((*ours, *values), number)
        else:
            family.add_metric(ours, value)
    made: Metric = family
    return made


def _buckets(value: Mapping[str, Any]) -> list[tuple[str, float]]:
    bounds = [f"{bound:g}" for bound in value["bounds"]]
    return list(zip([*bounds, "+Inf"], accumulate(value["counts"]), strict=True))
