"""A report as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from realtime.loadtest.reporting.load_report import LoadReport
from realtime.management.tables import table


def report_text(report: LoadReport) -> Iterator[str]:
    """Yield the summary, the tables and the findings; the limits are the caller's to colour."""
    yield ""
    width = max((len(name) for name, _ in report.facts), default=0)
    for name, value in report.facts:
        yield f"{name:<{width}}  {value}"
    for each in report.tables:
        yield ""
        yield f"{each.title}:"
        yield from table(each.head, each.rows)
    if report.findings:
        yield ""
    yield from report.findings
    yield ""
