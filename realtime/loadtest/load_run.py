"""One run of a scenario, from the first process to the report."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import datetime
from time import monotonic

import django

from realtime.loadtest.load_session import LoadSession, SessionOptions
from realtime.loadtest.reporting.live_view import LoadView
from realtime.loadtest.reporting.load_report import LoadReport
from realtime.loadtest.reporting.report_parts import tell_session
from realtime.loadtest.scenarios.load_scenario import LoadScenario, LoopbackScenario
from shardlayer import __version__


async def run_scenario(
    name: str,
    scenario: LoadScenario | LoopbackScenario,
    options: SessionOptions,
    view: LoadView,
    called_with: Mapping[str, str],
) -> LoadReport:
    """Run a scenario and return what it found.

    Raises:
        LoadFailed: The load test itself failed.
    """
    report = LoadReport(
        scenario=name,
        target=", ".join(target.url for target in options.targets) or "deployments of its own",
        began=datetime.now().astimezone().isoformat(timespec="seconds"),
        options=dict(called_with),
        versions={
            "Shardlayer": __version__,
            "Python": platform.python_version(),
            "Django": django.get_version(),
        },
    )
    began = monotonic()
    if isinstance(scenario, LoopbackScenario):
        try:
            await scenario.run(options, view, report)
        finally:
            view.close()
    else:
        async with LoadSession(options, view) as session:
            await scenario.run(session, report)
            tell_session(session, report)
    report.seconds = monotonic() - began
    return report
