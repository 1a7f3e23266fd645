"""Figures of a load test: when its own processes may be what was measured."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from realtime.loadtest.crew.load_figures import LoadFigures
from realtime.loadtest.load_session import LoadSession
from realtime.loadtest.reporting.load_report import LoadReport
from realtime.loadtest.reporting.report_parts import tell_faults, tell_processes
from realtime.loadtest.scenarios.delivery_counts import DeliveryCounts
from realtime.loadtest.scenarios.load_arguments import check_counts
from tests.realtime.loadtest.reports import SilentHelper, figures_of_busy, swarm_report


def test_busy_processes_are_the_limit() -> None:
    """One that used nearly a whole CPU in any second may have made everything late."""
    figures = figures_of_busy(clients_1=0.95, clients_2=0.5)
    [limit] = figures.limits()
    assert limit.name == "clients_1"
    assert limit.busiest == pytest.approx(0.95)
    assert limit.busy == 0.0
    assert figures.processes["clients_2"].busiest == pytest.approx(0.5)


def test_first_report_says_nothing_of_the_share() -> None:
    """What a process used before it began is not of the test."""
    figures = LoadFigures()
    figures.take(SilentHelper("clients-1"), swarm_report(cpu=100.0, at=1.0))
    assert figures.limits() == []


def test_report_says_whose_delays_these_may_be() -> None:
    """By name and share, with what to do; others are in the table alone."""
    figures = figures_of_busy(clients_1=0.95, clients_2=0.5)
    session = SimpleNamespace(figures=figures, clock_doubt=0.0, latest=0.0)
    report = LoadReport(scenario="broadcast", target="ws://127.0.0.1/ws/", began="now")
    tell_processes(cast("LoadSession", session), report)
    [finding] = report.findings
    assert finding.startswith("clients_1 used 95% of a CPU")
    assert "--processes" in finding
    [table] = report.tables
    assert [(row[0], row[2]) for row in table.rows] == [("clients_1", "95%"), ("clients_2", "50%")]


def test_step_forgets_what_was_before() -> None:
    """The busiest process of a step is that of the step, and of the test that of the test."""
    figures = figures_of_busy(clients_1=0.95)
    figures.begin_step()
    assert figures.busiest()[0] == 0.0
    figures.take(SilentHelper("clients_1"), swarm_report(2.2, 13.0))
    share, name = figures.busiest()
    assert name == "clients_1"
    assert share == pytest.approx(0.25)
    assert [each.name for each in figures.limits()] == ["clients_1"]


@pytest.mark.parametrize(
    ("counts", "kept"),
    [
        ({"missed": 5, "recovered": 5}, True),
        ({"wrong": 1}, False),
        ({"doubled": 1}, False),
        ({"disordered": 1}, False),
    ],
)
def test_every_kind_of_wrong_delivery_counts(counts: dict[str, int], *, kept: bool) -> None:
    """Of the wrong room, twice, out of order; not what a client missed on the way and got later."""
    figures = LoadFigures()
    figures.take(SilentHelper("clients-1"), swarm_report(1.0, 1.0, counts=counts))
    session = SimpleNamespace(figures=figures)
    report = LoadReport(scenario="redis-kill", target="a deployment of its own", began="now")
    check_counts(report, DeliveryCounts.of(cast("LoadSession", session), missing=0))
    assert {check.name: check.is_kept for check in report.checks} == {
        "lost": True,
        "wrong": kept,
        "failed": True,
    }


def test_no_delivery_is_no_right_delivery() -> None:
    """If nobody got anything, and nobody should have, nothing is lost or wrong."""
    figures = LoadFigures()
    figures.take(SilentHelper("clients-1"), swarm_report(1.0, 1.0))
    session = cast("LoadSession", SimpleNamespace(figures=figures))
    report = LoadReport(scenario="broadcast", target="ws://127.0.0.1/ws/", began="now")
    check_counts(report, DeliveryCounts.of(session, missing=0))
    assert [check.text for check in report.checks if not check.is_kept] == [
        "lost ≤ 0: nothing measured",
        "wrong ≤ 0: nothing measured",
    ]
    report.checks.clear()
    check_counts(report, DeliveryCounts.of(session, missing=1), lost=1)
    assert report.is_kept


def test_time_of_a_fault_has_three_digits_of_milliseconds() -> None:
    """Also just before the next second."""
    fault = {"kind": "doubled", "room": 0, "number": 1, "node": "n", "client": 2, "text": ""}
    figures = LoadFigures()
    faults = [{**fault, "sent": 0, "at": at} for at in (1_000.0004, 1_000.9996)]
    figures.take(SilentHelper("clients-1"), swarm_report(1.0, 1.0, faults=faults))
    session = SimpleNamespace(figures=figures, rooms=["room"], shards=[0])
    report = LoadReport(scenario="verify-routing", target="ws://127.0.0.1/ws/", began="now")
    tell_faults(cast("LoadSession", session), report)
    [table] = report.tables
    assert [row[7].rpartition(":")[2] for row in table.rows] == ["40.000", "40.999"]
