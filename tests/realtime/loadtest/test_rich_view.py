"""What a terminal shows of a load test while it runs."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from realtime.loadtest.crew.load_figures import LoadFigures
from realtime.loadtest.reporting.rich_view import RichView
from realtime.loadtest.swarm.load_person import UNKNOWN
from tests.realtime.loadtest.reports import SilentHelper, delays_of, swarm_report


@pytest.fixture
def console() -> Console:
    """A terminal that remembers what it shows."""
    return Console(file=StringIO(), force_terminal=True, width=200, height=60, record=True)


def rows(text: str) -> list[list[str]]:
    """Return the cells of all lines, of tables that stand side by side too."""
    lines = (line.replace("┃", "│").split("│") for line in text.splitlines())
    return [[cell.strip() for cell in line if cell.strip()] for line in lines]


def two_nodes() -> LoadFigures:
    """Return figures of two nodes and two shards, of which one node missed something."""
    figures = LoadFigures()
    cells = [
        ("node-a", 3, {"delays": delays_of(0.01, 0.02), "missed": 0}),
        ("node-b", 3, {"delays": delays_of(0.25), "missed": 4}),
        ("node-b", UNKNOWN, {"delays": delays_of(), "missed": 0}),
    ]
    figures.take(
        SilentHelper("clients-1"),
        swarm_report(
            *(1.0, 1.0),
            nodes={"node-a": 1_200, "node-b": 7},
            cells=cells,
            connected=1_207,
            counts={"missed": 4},
        ),
    )
    figures.take(
        SilentHelper("clients-2"), swarm_report(1.0, 1.0, nodes={"node-a": 34}, connected=34)
    )
    return figures


def shown(console: Console, phase: str, figures: LoadFigures) -> str:
    """Return what the view wrote of a phase and its figures."""
    view = RichView(console)
    view.phase(phase)
    view.show(figures, figures.sample())
    view.close()
    return console.export_text()


def test_by_node_and_by_shard(console: Console) -> None:
    """Each has its row: how many, how late, and what was missed."""
    figures = two_nodes()
    text = shown(console, "1,241 clients connect to 4 rooms.", figures)
    assert "1,241 clients connect to 4 rooms." in text
    assert "1,241" in side(rows(text), "1,241")[0]
    cells = [cell for row in rows(text) for cell in row]
    for heading in ("node", "shard", "connected", "deliveries", "p99 ms", "missed"):
        assert heading in cells
    assert ["node-a", "1,234", "2", "10.2", "20.0", "20.0", "0"] in side(rows(text), "node-a")
    assert ["node-b", "7", "1", "250", "250", "250", "4"] in side(rows(text), "node-b")
    assert ["3", "3", "20.5", "250", "250", "4"] in side(rows(text), "node-b")
    assert ["unknown", "0", "-", "-", "-", "0"] in side(rows(text), "node-a")


def test_names_are_text(console: Console) -> None:
    """What looks like markup is shown as it is: nodes are named by the site that is tested."""
    figures = LoadFigures()
    figures.take(SilentHelper("clients-1"), swarm_report(1.0, 1.0, nodes={"[/b] [red]": 7}))
    text = shown(console, "Rooms [a, b]", figures)
    assert "Rooms [a, b]" in text
    assert side(rows(text), "[/b] [red]")


def test_of_many_the_worst_are_shown(console: Console) -> None:
    """Those that missed something and those that are slow, by name, and how many there are."""
    figures = LoadFigures()
    cells = [
        (f"node-{number:02}", number, {"delays": delays_of(0.01 + number / 1000), "missed": 0})
        for number in range(32)
    ]
    cells[3] = ("node-03", 3, {"delays": delays_of(0.001), "missed": 1})
    figures.take(SilentHelper("clients-1"), swarm_report(1.0, 1.0, cells=cells))
    text = shown(console, "", figures)
    names = [row[0] for row in rows(text) if row and row[0].startswith("node-")]
    drawn = ["node-03", *(f"node-{number}" for number in range(21, 32))]
    assert names == 2 * drawn  # and once more at the end
    assert text.count("the worst 12 of 32") == 2 * 2


def side(found: list[list[str]], node: str) -> list[list[str]]:
    """Return the row of a node and that of the shard beside it."""
    return [part for row in found if node in row for part in (row[:7], row[7:])]
