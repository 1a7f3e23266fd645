"""The scenarios, against two workers that run."""

from __future__ import annotations

import time

import pytest

from demo.embedded import free_port
from realtime.loadtest.reporting.load_report import LoadReport
from realtime.loadtest.scenarios.connect_scenario import unevenness
from realtime.loadtest.scenarios.verify_routing_scenario import check_churn
from tests.realtime.loadtest.doubling_proxy import doubling_proxy
from tests.realtime.loadtest.load_site import LoadSite
from tests.realtime.loadtest.loadtest_settings import LEASE
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("loadtest")]


def test_targeted_asks_who_was_told(load_site: LoadSite) -> None:
    """Each user is on both nodes; once a lease is over, only nodes with members are told."""
    wait_until(lambda: time.monotonic() > load_site.started + LEASE)
    crowd = ("--users", "8", "--rate", "80", "--seconds", "1", "--max-lookup-p99", "0")
    for _ in range(4):  # a node that was kept from its CPU for a lease has to be trusted again
        tested = load_site.test("targeted", *crowd, *load_site.both, "--json")
        if tested.code == 0:
            break
        assert "Not kept: targeted" in tested.errors, tested.errors
    assert tested.found("targeted") == 100
    assert ["Nodes of a user", "2.00 on average"] in tested.report["facts"]
    figures = tested.report["figures"]
    assert figures["deliveries"] + figures.get("recovered", 0) == 160, figures
    assert tested.report["figures"]["lookup_p99"] != 0  # null: more than the buckets hold


def test_routing_is_right_under_churn(load_site: LoadSite) -> None:
    """Clients leave, are cut off, come back and change rooms."""
    crowd = ("--clients", "24", "--rooms", "8", "--churn", "60", "--rate", "100", "--seconds", "5")
    tested = load_site.test("verify-routing", *crowd, *load_site.both, "--json")
    assert tested.code == 0, tested.errors
    figures = tested.report["figures"]
    assert figures["left"] > 3
    assert figures["moved"] > 3
    assert figures["complete"] == figures["checked"] == 24
    assert figures.get("recovered", 0) > 0


def test_metrics_are_what_clients_saw(load_site: LoadSite) -> None:
    """Figure by figure."""
    crowd = ("--clients", "20", "--rooms", "5", "--rate", "50", "--seconds", "1")
    tested = load_site.test("dispatch-metrics", *crowd, *load_site.both, "--json")
    assert tested.code == 0, tested.errors
    rows = {name: (saw, says) for name, saw, says in tested.table("Clients and /metrics")}
    assert rows["deliveries_total"] == ("200", "200")
    assert rows["connections"] == ("20", "20")


def test_storm_brings_everybody_back(load_site: LoadSite) -> None:
    """With what was published while they were away."""
    crowd = ("--clients", "24", "--rooms", "4", "--rate", "60", "--seconds", "6", "--away", "2")
    tested = load_site.test("storm", *crowd, "--max-back", "30", *load_site.both, "--json")
    assert tested.code == 0, tested.errors
    assert tested.report["figures"]["back"] == 24
    assert tested.report["figures"]["recovered"] > 0
    assert tested.report["figures"]["lost"] == 0


def test_storm_from_which_nobody_comes_back_took_no_time(load_site: LoadSite) -> None:
    """However many may stay away."""
    crowd = ("--clients", "3", "--rooms", "1", "--rate", "10", "--seconds", "0.5", "--away", "0.1")
    limits = ("--max-back", "600", "--max-refused", "3", "--patience", "0.1")
    with doubling_proxy(load_site.ports[0], most=3) as port:
        url = ("--url", f"ws://127.0.0.1:{port}/ws/")
        tested = load_site.test("storm", *crowd, *limits, *url, "--json")
    assert tested.code == 1, tested.errors
    assert tested.report["figures"]["back"] == 0
    assert tested.found("all back") is None


@pytest.mark.parametrize("scenario", ["broadcast", "connect"])
def test_nobody_got_in_is_no_success(load_site: LoadSite, scenario: str) -> None:
    """However many may be refused: nothing else is measured then."""
    url = ("--url", f"ws://127.0.0.1:{free_port()}/ws/")
    tested = load_site.test(scenario, *url, "--clients", "3", "--max-refused", "3", "--json")
    assert tested.code == 1, tested.errors
    assert (tested.found("refused"), tested.found("got in")) == (3, 0)


def test_nodes_without_clients_are_not_even() -> None:
    """Those that all have left are not, either."""
    assert unevenness([6, 4]) == 1.5
    assert unevenness([6, 0]) == 6
    assert unevenness([0, 0]) is None
    assert unevenness([]) is None


@pytest.mark.parametrize(("changes", "kept"), [(0, False), (1, True)])
def test_routing_without_churn_is_not_tested(changes: int, *, kept: bool) -> None:
    """A stream that is over before anybody leaves says nothing of those who do."""
    report = LoadReport(scenario="verify-routing", target="ws://127.0.0.1/ws/", began="now")
    check_churn(report, changes)
    assert report.is_kept is kept


def test_capacity_says_where_and_why(load_site: LoadSite) -> None:
    """No delay is below a microsecond, so the first step is the last."""
    crowd = ("--clients", "8", "--rooms", "2", "--step-seconds", "0.5", "--steps", "2")
    for _ in range(4):  # a busy machine may publish late, which is the reason then
        tested = load_site.test("capacity", *crowd, "--max-p95", "0.001", "--json")
        assert tested.code == 0, tested.errors
        if not tested.report["figures"]["why"].endswith(" s late"):
            break
    assert tested.report["figures"]["why"].startswith("p95 was ")
    assert tested.report["figures"]["publications_a_second"] == 0
    assert len(tested.table("Steps")) == 1


def test_capacity_counts_what_comes_twice(load_site: LoadSite) -> None:
    """No rate is kept then, however soon everything is there; and it is no matter of the rate."""
    crowd = ("--clients", "4", "--rooms", "2", "--step-seconds", "0.5", "--steps", "2")
    metrics = f"http://127.0.0.1:{load_site.ports[0]}/metrics"
    with doubling_proxy(load_site.ports[0]) as port:
        url = ("--url", f"ws://127.0.0.1:{port}/ws/", "--metrics", metrics)
        for _ in range(4):  # a busy machine may miss some, which is the reason then
            tested = load_site.test("capacity", *crowd, *url, "--max-p95", "60000", "--json")
            assert tested.code == 1, tested.errors
            why = tested.report["figures"]["why"]
            if "missing" not in why:
                break
    assert tested.found("wrong") == 50  # 25 publications, each to two clients
    assert why.startswith("50 publications were doubled, out of order or of another room; ")
    [step] = tested.table("Steps")
    assert step[3:6] == ["0", "50", "0"]


def test_soak_tells_slopes(load_site: LoadSite) -> None:
    """Of both workers and of Redis; a limit on what was not measured is not kept."""
    crowd = ("--clients", "10", "--rooms", "4", "--rate", "40", "--seconds", "6")
    tested = load_site.test("soak", *crowd, "--every", "0.3", "--json", *load_site.both)
    assert tested.code == 0, tested.errors
    [rows] = [
        each["rows"] for each in tested.report["tables"] if each["title"].startswith("Growth")
    ]
    assert sum(row[0] == "descriptors" and row[1].startswith("worker ") for row in rows) == 2
    assert any(row[0] == "memory of Redis, MiB" and float(row[3]) > 0 for row in rows)
    tasks = [row for row in rows if row[0] == "tasks of an event loop"]
    assert sum(row[1].startswith("worker ") and float(row[3]) > 0 for row in tasks) == 2
    assert tested.report["figures"]["descriptor_slopes"]
