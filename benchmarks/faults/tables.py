"""The table of a run: a line for each fault, also as it happens."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.faults.rows import NEVER, Row

_COUNTS = (
    ("published", "published"),
    ("acked", "acknowledged"),
    ("delivered", "delivered"),
    ("lost", "lost"),
    ("twice", "twice"),
    ("disorder", "misordered"),
    ("told", "told"),
    ("notices", "notices"),
)
_TIMES = (
    ("pause ms", "pause_ms"),
    ("after ms", "pause_mended_ms"),
    ("well ms", "well_ms"),
)
COLUMNS = (f"{'fault':12}", f"{'for':>6}", *(f"{title:>9}" for title, _ in (*_COUNTS, *_TIMES)))
"""Headings for lines of `cells`."""


def cells(row: Row) -> list[str]:
    """Return a row's cells, each as wide as its heading."""
    return [
        f"{row.fault:12}",
        f"{row.seconds:4.1f} s",
        *(f"{getattr(row, name):9,}" for _, name in _COUNTS),
        *(f"{_longest([row], name) or '-':>9}" for _, name in _TIMES),
    ]


def faults_table(rows: Sequence[Row]) -> Table:
    """Return one line per fault; of those that happened several times, sums and longest times."""
    table = Table(
        title="Faults (pause: the longest for which a client heard nothing of a source in a room; "
        "after: of that, once all should be well soon; well: until everybody heard from all)"
    )
    table.add_column("fault")
    for heading in ("times", *(title for title, _ in (*_COUNTS, *_TIMES))):
        table.add_column(heading, justify="right")
    for what in dict.fromkeys(row.what for row in rows):
        same = [row for row in rows if row.what == what]
        table.add_row(
            what + _silence(same),
            str(len(same)),
            *(f"{sum(getattr(row, name) for row in same):,}" for _, name in _COUNTS),
            *(_longest(same, name) for _, name in _TIMES),
            style=None if all(row.is_good for row in same) else "bold red",
        )
    return table


def _silence(rows: Sequence[Row]) -> str:
    """Return what is to be added to the name of rows that say nothing; empty: all say something."""
    if not any(row.silent for row in rows):
        return ""
    some = all(row.published for row in rows)
    return ": a source published nothing" if some else ": nothing was published"


def _longest(rows: Sequence[Row], name: str) -> str:
    """Return the longest of a time, of the rows whose times say something; empty: none do."""
    values = [getattr(row, name) for row in rows if row.timed]
    if None in values:
        return NEVER
    return f"{max(values):,.0f}" if values else ""
