"""What grows, and how fast; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from realtime.loadtest.slopes import slope_an_hour

WARM_UP = 600.0  # seconds after which nothing may grow any more
WARM_SHARE = 1 / 3  # of a shorter run


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a worker and its Redis had at one moment.

    Attributes:
        at: Seconds since the beginning.
        worker_bytes: Resident memory of the worker.
        descriptors: Open files of the worker.
        threads: Of the worker.
        redis_bytes: What Redis says that it uses.
        redis_keys: How many keys it has.
    """

    at: float
    worker_bytes: float
    descriptors: float
    threads: float
    redis_bytes: float
    redis_keys: float


def settled(readings: Sequence[Reading]) -> list[Reading]:
    """Return the readings after the warm-up: ten minutes, or a third of a shorter run."""
    if not readings:
        return []
    begins = min(WARM_UP, readings[-1].at * WARM_SHARE)
    return [reading for reading in readings if reading.at >= begins]


def slope(readings: Sequence[Reading], name: str) -> float:
    """Return by how much one of the figures grows in an hour.

    Raises:
        ValueError: There are too few readings.
    """
    found = slope_an_hour([(reading.at, getattr(reading, name)) for reading in readings])
    if found is None:
        raise ValueError(f"{len(readings)} readings are too few for a slope")
    return found
