"""The scenarios, against two workers that run."""

from __future__ import annotations

import time

import pytest

from tests.realtime.loadtest.load_site import LoadSite
from tests.realtime.loadtest.loadtest_settings import LEASE
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("loadtest")


def test_targeted_asks_who_was_told(load_site: LoadSite) -> None:
    """Each user is on both nodes; once a lease is over, only nodes with members are told."""
    wait_until(lambda: time.monotonic() > load_site.started + 2 * LEASE)
    crowd = ("--users", "8", "--rate", "80", "--seconds", "1", "--max-lookup-p99", "9999")
    tested = load_site.test("targeted", *crowd, *load_site.both, "--json")
    assert tested.code == 0, tested.errors
    assert tested.found("targeted") == 100
    assert ["Nodes of a user", "2.00 on average"] in tested.report["facts"]
    assert tested.report["figures"]["deliveries"] == 160
    assert tested.report["figures"]["lookup_p99"] > 0


def test_routing_is_right_under_churn(load_site: LoadSite) -> None:
    """Clients leave, are cut off, come back and change rooms."""
    crowd = ("--clients", "24", "--rooms", "8", "--churn", "60", "--rate", "100", "--seconds", "2")
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
    crowd = ("--clients", "24", "--rooms", "4", "--rate", "60", "--seconds", "1.5", "--away", "0.3")
    tested = load_site.test("storm", *crowd, "--max-back", "30", *load_site.both, "--json")
    assert tested.code == 0, tested.errors
    assert tested.report["figures"]["back"] == 24
    assert tested.report["figures"]["recovered"] > 0
    assert tested.report["figures"]["lost"] == 0
