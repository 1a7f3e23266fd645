"""One panel of a dashboard as SVG: series in, text out.

Colours are CSS variables of the page, so that the same drawing is light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, isfinite, log2, log10
from typing import NamedTuple

HEIGHT = 170  # of the drawing, in pixels
LEFT, TOP, BOTTOM = 62, 8, 20  # what stands around the chart itself
COLOURS = 8  # series of one panel that have a colour of their own
GRID = 4  # lines, about


class Series(NamedTuple):
    """One line of a chart.

    Attributes:
        legend: Its name.
        points: Times in seconds and values, in order.
    """

    legend: str
    points: Sequence[tuple[float, float]]


def panel_chart(series: Sequence[Series], unit: str, begin: float, end: float, width: int) -> str:
    """Return the drawing of all series between two times, from 0 up, so many pixels wide."""
    highest = max(
        (value for line in series for _, value in line.points if isfinite(value)), default=0.0
    )
    step = grid_step(highest, 2 if unit in ("bytes", "Bps") else 10)
    lines = max(1, ceil(highest / step - 0.001))
    top = step * lines

    def x(time: float) -> float:
        return LEFT + (width - LEFT - 6) * (time - begin) / max(end - begin, 1e-9)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top

    parts = [f'<svg viewBox="0 0 {width} {HEIGHT}" role="img">']
    for number in range(lines + 1):
        value = step * number
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{width}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        )
        parts.append(_text(LEFT - 6, y(value) + 4, "end", shown(value, unit)))
    for back in (60, 30, 0):
        if end - back >= begin:
            words = f"{back} s ago" if back else "now"
            parts.append(_text(x(end - back), HEIGHT - 4, "middle" if back else "end", words))
    for number, line in enumerate(series):
        points = " ".join(
            f"{x(time):.1f},{y(value):.1f}" for time, value in line.points if isfinite(value)
        )
        parts.append(f'<polyline class="series c{number % COLOURS}" points="{points}"/>')
    parts.append("</svg>")
    return "".join(parts)


def _text(x: float, y: float, anchor: str, words: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def legend_of(series: Sequence[Series]) -> str:
    """Return the names of the series, each with its colour, as HTML."""
    return "".join(
        f'<li><i class="c{number % COLOURS}"></i>{escape(line.legend)}</li>'
        for number, line in enumerate(series)
    )


def grid_step(highest: float, base: int = 10) -> float:
    """Return the distance of two grid lines: 1, 2 or 5 times a power of ten, or a power of two."""
    if not highest > 0:
        return 1 / GRID
    rough = highest / GRID
    if base == 2:
        return 2.0 ** ceil(log2(rough))
    power = 10.0 ** floor(log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def shown(value: float, unit: str) -> str:
    """Return a value with its unit, as Grafana names units, in few characters."""
    match unit:
        case "s":
            return _scaled(value, ((1, "s"), (1e-3, "ms"), (1e-6, "µs")))
        case "bytes" | "Bps":
            end = "/s" if unit == "Bps" else ""
            return _scaled(value, ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))) + end
        case "percentunit":
            return f"{100 * value:.3g} %"
        case "ops":
            return _scaled(value, ((1e6, "M"), (1e3, "k"), (1, ""))) + "/s"
        case _:
            return _scaled(value, ((1e6, "M"), (1e3, "k"), (1, "")))


def _scaled(value: float, scales: Sequence[tuple[float, str]]) -> str:
    if not value:
        return "0"
    scale, name = next(
        ((scale, name) for scale, name in scales if value >= scale * 0.999), scales[-1]
    )
    return f"{value / scale:.3g}{' ' if len(name) > 1 or name == 's' or name == 'B' else ''}{name}"
