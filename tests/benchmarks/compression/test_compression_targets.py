"""The targets of `compression`, and what it publishes."""

from __future__ import annotations

import json

import pytest

from benchmarks.compression.plans import ALL, NONE, OFF, ONE, bytes_of, cpu_of
from benchmarks.compression.rows import SIZE, table
from benchmarks.compression.targets import MEMBERS, compression_targets
from benchmarks.layer.figures import Figure


def figures(compressed: float, size: float = 350.0, lost: int = 0) -> list[Figure]:
    """Return those of one round: what compressed deliveries cost, and their bytes."""
    cpu, length = cpu_of(MEMBERS), bytes_of(MEMBERS)
    values = {(cpu, OFF): 2.0, (cpu, ALL): compressed, (cpu, NONE): 2.0, (cpu, ONE): 2.0}
    values |= {(length, OFF): 1000.0, (length, ALL): size}
    return [
        Figure(measure=measure, layer=name, round=1, value=value, unit="", calls=1, lost=lost)
        for (measure, name), value in values.items()
    ]


@pytest.mark.parametrize(
    ("given", "reached"),
    [
        (figures(2.3), [True, True, True, True, True]),
        (figures(2.5), [False, True, True, True, True]),
        (figures(2.3, size=401), [True, False, True, True, True]),
        (figures(2.3, lost=1), [True, True, True, True, False]),
        ([], [None, None, None, None, None]),
    ],
)
def test_targets(given: list[Figure], reached: list[bool | None]) -> None:
    """Each says by itself whether it was reached."""
    assert [target.reached for target in compression_targets(given)] == reached


def test_tables() -> None:
    """They are JSON of nearly the size, with the stamp, and no two alike."""
    stamps = [f"~{number:010d}@{number:018d}" for number in range(20)]
    tables = [table(stamp) for stamp in stamps]
    assert all(SIZE - 200 < len(each) <= SIZE for each in tables)
    assert [json.loads(each)["stamp"] for each in tables] == stamps
    assert len({each.partition(b"orders")[2] for each in tables}) == len(tables)
