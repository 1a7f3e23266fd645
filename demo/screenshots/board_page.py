"""A dashboard as a page: its panels' queries asked of Prometheus, and drawn."""

from __future__ import annotations

import json
import re
import runpy
import time
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from demo.screenshots.panel_chart import COLOURS, Series, legend_of, panel_chart

HERE = Path(__file__).resolve().parent
SOURCE = (HERE.parents[1] / "deploy" / "grafana" / "dashboards").with_suffix(".py")
RATE = "10s"  # what Grafana's $__rate_interval is here: scraped each second
SPAN = 75.0  # seconds that a chart shows
STEP = 1  # seconds
ROW = 1180  # pixels that the charts of a row have together
TIMEOUT = 20.0  # seconds
_VALUES = re.compile(r"label_values\((\w+), (\w+)\)")
_FIELD = re.compile(r"\{\{(\w+)\}\}")


def dashboards() -> Sequence[Any]:
    """Return what the files in deploy/grafana are made of."""
    found: Sequence[Any] = runpy.run_path(str(SOURCE), run_name="dashboards")["DASHBOARDS"]
    return found


class Prometheus:
    """What is asked of one.

    Args:
        address: Where it is, without a slash at the end.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def choices(self, query: str) -> list[str]:
        """Return the values that a dashboard's variable has: of `label_values(metric, label)`."""
        found = _VALUES.fullmatch(query)
        if found is None:
            raise ValueError(f"{query!r} is no label_values(metric, label).")
        metric, label = found.groups()
        answer = self._get(f"label/{label}/values", {"match[]": metric})
        return sorted(answer, key=lambda value: (len(value), value))

    def series(self, query: str, legend: str, begin: float, end: float) -> list[Series]:
        """Return what a query was between two times."""
        asked = {"query": query, "start": begin, "end": end, "step": STEP}
        found = []
        for line in self._get("query_range", asked)["result"]:
            labels: Mapping[str, str] = line["metric"]
            name = _FIELD.sub(lambda field, of=labels: of.get(field[1], ""), legend)  # type: ignore[misc]
            points = [(float(at), float(value)) for at, value in line["values"]]
            found.append(Series(name or "value", points))
        return sorted(found, key=lambda each: each.legend)

    def _get(self, what: str, asked: Mapping[str, Any]) -> Any:
        address = f"{self._address}/api/v1/{what}?{urlencode(asked)}"
        with urlopen(address, timeout=TIMEOUT) as said:  # noqa: S310 - http, of this machine
            return json.load(said)["data"]


def board_page(dashboard: Any, prometheus: Prometheus, wanted: Mapping[str, str]) -> str:
    """Return a dashboard as HTML.

    Args:
        dashboard: One of `dashboards()`.
        prometheus: Who is asked.
        wanted: Values of variables; of others the first one is taken.
    """
    end = float(int(time.time()))
    begin = end - SPAN
    chosen = {
        name: wanted.get(name) or prometheus.choices(query)[0]
        for name, query in dashboard.variables
    }
    rows = []
    for row in dashboard.rows:
        width = ROW // len(row)
        panels = "".join(_panel(panel, prometheus, chosen, (begin, end), width) for panel in row)
        rows.append(f'<div class="row">{panels}</div>')
    title = escape(dashboard.title)
    picked = "".join(
        f"<span>{escape(name)} <b>{escape(value)}</b></span>" for name, value in chosen.items()
    )
    style = (HERE / "board.css").read_text()
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{style}</style><body><header><h1>{title}</h1>{picked}</header>{''.join(rows)}"
    )


def _panel(
    panel: Any,
    prometheus: Prometheus,
    chosen: Mapping[str, str],
    times: tuple[float, float],
    width: int,
) -> str:
    begin, end = times
    series: list[Series] = []
    for query, legend in panel.queries:
        asked = query.replace("$__rate_interval", RATE)
        for name, value in chosen.items():
            asked = asked.replace(f"${name}", value)
        series += prometheus.series(asked, legend, begin, end)
    shown = [line for line in series if any(value for _, value in line.points)] or series
    shown = shown[:COLOURS]
    about = f"<p>{escape(panel.about)}</p>" if panel.about else ""
    chart = panel_chart(shown, panel.unit, begin, end, width)
    return (
        f'<section class="panel"><h2>{escape(panel.title)}</h2>{about}{chart}'
        f"<ul>{legend_of(shown)}</ul></section>"
    )
