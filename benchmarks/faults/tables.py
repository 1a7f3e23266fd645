"""The table of a run: a line for each fault, also as it happens."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.faults.rows import Row

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
    times = [getattr(row, name) for _, name in _TIMES]
    return [
        f"{row.fault:12}",
        f"{row.seconds:4.1f} s",
        *(f"{getattr(row, name):9,}" for _, name in _COUNTS),
        *(f"{'-' if ms is None or not row.timed else f'{ms:,.0f}':>9}" for ms in times),
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
        times = [
            [value for row in same if row.timed and (value := getattr(row, name)) is not None]
            for _, name in _TIMES
        ]
        table.add_row(
            what,
            str(len(same)),
            *(f"{sum(getattr(row, name) for row in same):,}" for _, name in _COUNTS),
            *(f"{max(values):,.0f}" if values else "" for values in times),
            style="bold red" if any(row.broken for row in same) else None,
        )
    return table
