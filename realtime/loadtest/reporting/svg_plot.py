"""A plot as SVG: lines over one axis, with the colours and fonts of the page that it stands in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from realtime.loadtest.reporting.load_report import Points, ReportPlot

_WIDTH, _HEIGHT = 360, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 10, 34
_MOST_POINTS: Final = 400  # of a line; more can't be told apart
_TICKS: Final = 4


def svg_plot(plot: ReportPlot) -> str:
    """Return an `<svg>` element."""
    lines = {name: _thinned(points) for name, points in plot.lines.items()}
    points = [(x, y) for line in lines.values() for x, y in line if y is not None]
    if not points:
        return "<p>Nothing was measured.</p>"
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    steps = nice_ticks(max(y for _, y in points))
    top = steps[-1]

    def place(x: float, y: float) -> str:
        across = (x - left) / (right - left) if right > left else 0.5
        return (
            f"{_LEFT + across * (_WIDTH - _LEFT - _RIGHT):.1f},"
            f"{_HEIGHT - _BOTTOM - y / top * (_HEIGHT - _TOP - _BOTTOM):.1f}"
        )

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(plot.title)}">']
    for step in steps:
        height = place(left, step).split(",")[1]
        parts.append(
            f'<line class="grid" x1="{_LEFT}" y1="{height}" x2="{_WIDTH - _RIGHT}" y2="{height}"/>'
            f'<text class="y" x="{_LEFT - 6}" y="{height}" dy="4">{_short(step)}</text>'
        )
    for x, kind in ((left, "start"), (right, "end")):
        across, text = place(x, 0).split(",")[0], _short(round(x, 1))
        parts.append(
            f'<text class="x {kind}" x="{across}" y="{_HEIGHT - _BOTTOM + 16}">{text}</text>'
        )
    parts.append(
        f'<text class="x" x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 4}">{escape(plot.across)}</text>'
    )
    for number, line in enumerate(lines.values()):
        for run in _runs(line):
            if len(run) == 1:
                across, height = place(*run[0]).split(",")
                parts.append(
                    f'<circle class="line-{number % 6}" cx="{across}" cy="{height}" r="2.5"/>'
                )
            else:
                path = " ".join(place(x, y) for x, y in run)
                parts.append(f'<polyline class="line-{number % 6}" points="{path}"/>')
    return "".join([*parts, "</svg>"])


def nice_ticks(most: float) -> list[float]:
    """Return about four equal steps from 0 on, of which the last is not below `most`."""
    most = most if most > 0 else 1.0
    rough = most / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.9999)
    return [step * number for number in range(math.ceil(most / step * 0.9999) + 1)]


def _short(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.3g}{unit}"
    return f"{value:.4g}"


def _thinned(points: Points) -> Points:
    """Return the points, or of each stretch the highest: a peak must not be lost."""
    if len(points) <= _MOST_POINTS:
        return points
    size = math.ceil(len(points) / _MOST_POINTS)
    return [
        max(points[at : at + size], key=lambda point: -1.0 if point[1] is None else point[1])
        for at in range(0, len(points), size)
    ]


def _runs(points: Points) -> list[Sequence[tuple[float, float]]]:
    """Return the points between gaps."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None:
            runs.append([])
        else:
            runs[-1].append((x, y))
    return [run for run in runs if run]
