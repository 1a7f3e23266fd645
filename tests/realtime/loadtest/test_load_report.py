"""The page of a report."""

from __future__ import annotations

import re

import pytest

from realtime.loadtest.reporting.load_report import LoadCheck, LoadReport, ReportPlot, ReportTable
from realtime.loadtest.reporting.report_page import report_page
from realtime.loadtest.reporting.svg_plot import nice_ticks, svg_plot


def test_page_needs_nothing_from_elsewhere() -> None:
    """One file, without a script, and text is text."""
    report = LoadReport(scenario="broadcast", target="ws://127.0.0.1/ws/", began="now")
    report.findings.append("<script>alert(1)</script>")
    report.tables.append(ReportTable(title="By node", head=("node",), rows=[("<b>n</b>",)]))
    report.plots.append(
        ReportPlot(title="a & b", across="seconds", lines={"p50": [(0, 1), (1, None), (2, 3)]})
    )
    page = report_page(report)
    assert not re.findall(r"<script|src=|href=\"http|url\(|@import", page)
    assert "&lt;script&gt;" in page
    assert "&lt;b&gt;n" in page
    assert 'aria-label="a &amp; b"' in page
    assert page.count("<circle") == 2  # two points with a gap between them


def test_limits_are_told_by_words() -> None:
    """Not by colour alone."""
    report = LoadReport(scenario="connect", target="ws://127.0.0.1/ws/", began="now")
    report.checks.append(LoadCheck(name="p95", limit=5, found=7.25, unit="ms"))
    assert "<b>not kept</b>" in report_page(report)
    assert "p95 ≤ 5 ms: 7.25 ms" in report_page(report)


@pytest.mark.parametrize(
    ("check", "kept"),
    [
        (LoadCheck(name="p95", limit=5, found=5), True),
        (LoadCheck(name="p95", limit=5, found=5.1), False),
        (LoadCheck(name="p95", limit=5, found=None), False),
        (LoadCheck(name="rate", limit=5, found=5, at_least=True), True),
        (LoadCheck(name="rate", limit=5, found=4.9, at_least=True), False),
    ],
)
def test_limit_is_kept(check: LoadCheck, *, kept: bool) -> None:
    """What was not measured is never kept."""
    assert check.is_kept is kept


@pytest.mark.parametrize("most", [0, 1e-9, 0.3, 1, 7, 99, 1234, 5e7])
def test_ticks_reach_the_largest_value(most: float) -> None:
    """They begin at 0, are equal, and few."""
    ticks = nice_ticks(most)
    assert ticks[0] == 0
    assert ticks[-1] >= most * 0.999
    assert len(ticks) <= 6


def test_long_line_keeps_its_peak() -> None:
    """Of 100,000 points the highest is drawn."""
    points = [(float(x), 100.0 if x == 77_777 else 1.0) for x in range(100_000)]
    drawn = svg_plot(ReportPlot(title="t", across="s", lines={"a": points}))
    heights = [float(y) for y in re.findall(r"\d+\.\d,(\d+\.\d)", drawn)]
    assert len(heights) <= 400
    assert min(heights) == pytest.approx(10.0)
