"""How a dashboard's panel is drawn."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from demo.screenshots.panel_chart import Series, grid_step, legend_of, panel_chart, shown


def texts(svg: str) -> list[str]:
    """Return the words of a drawing, which is well-formed."""
    return ["".join(found.itertext()) for found in ElementTree.fromstring(svg).iter("text")]


def lines(svg: str) -> list[list[tuple[float, float]]]:
    """Return the points of each series."""
    return [
        [(float(x), float(y)) for x, y in (point.split(",") for point in found.split())]
        for found in re.findall(r'points="([^"]*)"', svg)
    ]


def test_a_series_goes_from_left_to_right_and_up() -> None:
    """The highest value is within the chart, 0 is at its bottom."""
    (line,) = lines(panel_chart([Series("a", [(0, 0), (60, 95)])], "ops", 0, 60, 400))
    assert [*line[0]] == [62, 150]
    assert line[-1][0] == 394
    assert 8 <= line[-1][1] < 16


def test_axis_says_values_and_times() -> None:
    """From 0 to what holds the highest, with the unit."""
    svg = panel_chart([Series("a", [(0, 0.3)])], "s", 0, 75, 400)
    assert texts(svg) == ["0", "100 ms", "200 ms", "300 ms", "60 s ago", "30 s ago", "now"]


def test_nothing_to_show_is_an_empty_chart() -> None:
    """Without series, with zeros alone, and with what is no number."""
    for series in ([], [Series("a", [(0, 0), (1, 0)])], [Series("a", [(0, float("nan"))])]):
        assert texts(panel_chart(series, "short", 0, 75, 400))[:2] == ["0", "0.25"]


def test_legend_is_text() -> None:
    """What a label says is no HTML."""
    assert legend_of([Series("<b>", [])]) == '<li><i class="c0"></i>&lt;b&gt;</li>'


@pytest.mark.parametrize(
    ("highest", "base", "expected"),
    [(95, 10, 50), (1, 10, 0.5), (4, 10, 1), (0.008, 10, 0.002), (0, 10, 0.25), (200, 2, 64)],
)
def test_grid_has_round_steps(highest: float, base: int, expected: float) -> None:
    """Four lines or so."""
    assert grid_step(highest, base) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0, "s", "0"),
        (0.0005, "s", "500 µs"),
        (2, "s", "2 s"),
        (1500, "ops", "1.5k/s"),
        (64 * 2**20, "bytes", "64 MiB"),
        (2048, "Bps", "2 KiB/s"),
        (0.5, "percentunit", "50 %"),
        (1000, "short", "1k"),
    ],
)
def test_values_have_units(value: float, unit: str, expected: str) -> None:
    """As Grafana names them."""
    assert shown(value, unit) == expected
