from __future__ import annotations

import io

from rich.console import Console

from benchmarks.layer.figures import Figure
from benchmarks.layer.measures import CONCURRENT
from benchmarks.layer.tables import layer_table


def test_calls_that_raised_stand_in_the_table() -> None:
    """With what they raised, also where not one succeeded."""
    failing = Figure(
        measure=CONCURRENT,
        layer="core",
        round=1,
        value=None,
        unit="calls/s",
        calls=0,
        failed={"MaxConnectionsError": 1_234},
    )
    console = Console(file=io.StringIO(), width=200)
    console.print(layer_table([failing]))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "none succeeded" in text
    assert "1,234 MaxConnectionsError" in text
