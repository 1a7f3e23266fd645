"""A report as one page of HTML, which needs nothing from elsewhere, and no script."""

from __future__ import annotations

from importlib.resources import files

from django.template import Context, Engine
from django.utils.safestring import mark_safe

from realtime.loadtest.reporting.load_report import LoadReport
from realtime.loadtest.reporting.svg_plot import svg_plot


def report_page(report: LoadReport) -> str:
    """Return the page. It does not use the project's own template settings."""
    here = files(__package__)
    template = Engine().from_string((here / "report.html").read_text())
    css = (here / "report.css").read_text()
    plots = [(plot, mark_safe(svg_plot(plot))) for plot in report.plots]  # noqa: S308 - escaped
    return template.render(
        Context({"report": report, "css": mark_safe(css), "plots": plots})  # noqa: S308 - ours
    )
