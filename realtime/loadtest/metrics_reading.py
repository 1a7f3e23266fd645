"""What `/metrics` says, read as Prometheus would."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from realtime.loadtest.load_failed import LoadFailed

_TIMEOUT: Final = 10.0  # seconds
_PREFIX: Final = "shardlayer_"
_LINE: Final = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Labels = frozenset[tuple[str, str]]


class MetricsReading:
    """Figures at a moment, or what they grew by.

    Args:
        values: By name, without the prefix, and labels.
    """

    def __init__(self, values: Mapping[tuple[str, Labels], float]) -> None:
        self._values = values

    @classmethod
    def of(cls, text: str) -> MetricsReading:
        """Return what a text in the format of Prometheus says."""
        return cls(
            {
                (name.removeprefix(_PREFIX), frozenset(_LABEL.findall(labels))): float(value)
                for name, labels, value in _LINE.findall(text)
                if name.startswith(_PREFIX)
            }
        )

    def __add__(self, other: MetricsReading) -> MetricsReading:
        """Return the figures of both; those of one name and the same labels are added up."""
        both = dict(self._values)
        for key, value in other._values.items():
            both[key] = both.get(key, 0.0) + value
        return MetricsReading(both)

    def since(self, before: MetricsReading) -> MetricsReading:
        """Return by how much each figure grew."""
        return MetricsReading(
            {key: value - before._values.get(key, 0.0) for key, value in self._values.items()}
        )

    def sum(self, name: str, **labels: str) -> float:
        """Return a figure, added up over all that have these labels; 0: there is none."""
        wanted = set(labels.items())
        return sum(
            value for (found, has), value in self._values.items() if found == name and wanted <= has
        )

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Return a figure by the values of some labels."""
        found: dict[tuple[str, ...], float] = {}
        for (each, has), value in self._values.items():
            if each == name:
                values = dict(has)
                key = tuple(values.get(label, "") for label in labels)
                found[key] = found.get(key, 0.0) + value
        return found

    def quantile(self, name: str, share: float) -> float | None:
        """Return the end of a histogram's bucket that holds this share; None: it is empty."""
        buckets = sorted(
            (float(le), count) for (le,), count in self.by(f"{name}_bucket", "le").items()
        )
        if not buckets or buckets[-1][1] <= 0:
            return None
        return next(le for le, count in buckets if count >= share * buckets[-1][1])


class MetricsReader:
    """Asks the `/metrics` of a deployment.

    Args:
        urls: Of each machine, once.
        key: The HEALTH_KEY; empty: none is needed from this machine.
    """

    def __init__(self, urls: Iterable[str], key: str) -> None:
        self._urls = list(urls)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def read(self) -> MetricsReading:
        """Return the figures of all machines together.

        Raises:
            LoadFailed: One does not answer, or has no figures.
        """
        readings = await asyncio.gather(*(asyncio.to_thread(self._get, url) for url in self._urls))
        total = MetricsReading({})
        for reading in readings:
            total += reading
        return total

    def _get(self, url: str) -> MetricsReading:
        try:
            with urlopen(Request(url, headers=self._headers), timeout=_TIMEOUT) as answer:  # noqa: S310
                return MetricsReading.of(answer.read().decode())
        except HTTPError as error:
            why = error.read(200).decode(errors="replace").strip()
            raise LoadFailed(f"{url} answers {error.code}: {why}") from error
        except (URLError, OSError) as error:
            raise LoadFailed(f"{url} does not answer: {error}") from error
