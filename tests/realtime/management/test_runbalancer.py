"""`manage.py runbalancer`, as a process with workers behind it."""

from __future__ import annotations

import grp
import json
import os
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from realtime.metrics.snapshots import read_snapshots
from shardlayer.balancer.balancer_counters import BalancerCounters
from tests.server.client import RawClient
from tests.server.logged_process import ROOT
from tests.shardlayer.balancer.processes import BalancerProcess
from tests.waiting import wait_until

COMMAND = (sys.executable, "manage.py", "runbalancer")


def test_workers_behind_it(tmp_path: Path) -> None:
    """It serves by worker processes, with the capacity that the settings say."""
    with BalancerProcess(tmp_path, command=COMMAND) as balancer, balancer.worker():
        balancer.wait_loads(worker_1=0)
        assert balancer.health()["capacity"] == 12_000
        with RawClient(balancer.connect()) as client:
            assert client.status == 101
        assert balancer.stop() == 0


def test_refusals_reach_operators(tmp_path: Path) -> None:
    """A client for whom there is no room is a line of JSON, and one more in Prometheus' figures."""
    directory = tmp_path / "metrics"
    environ = {"LOG_JSON": "1", "METRICS_DIRECTORY": str(directory)}
    with BalancerProcess(tmp_path, command=COMMAND, environ=environ) as balancer:
        with RawClient(balancer.connect()) as client:
            assert client.status == 503
        assert balancer.health()["counters"]["refused"] == 1
        lines = [json.loads(line) for line in balancer.log.splitlines()]
        (refused,) = (line for line in lines if line.get("event") == "refused")
        assert (refused["status"], refused["client"]) == (503, "127.0.0.1")

        def figures() -> dict[str, Any]:
            found = read_snapshots(directory)
            return {each.role: each.figures.get("balancer_connections_total") for each in found}

        expected = {"balancer": {"handed_over": 0, "refused": 1, "dropped": 0}}
        wait_until(lambda: figures() == expected)
        assert balancer.stop() == 0
    assert figures() == {}


def test_figures_are_kept_from_other_users_workers(tmp_path: Path) -> None:
    """With a group of workers the directory may be another user's, and is not made."""
    directory = tmp_path / "metrics"
    environ = {"METRICS_DIRECTORY": str(directory)}
    group = grp.getgrgid(os.getegid()).gr_name
    with BalancerProcess(
        tmp_path, "--socket-group", group, command=COMMAND, environ=environ
    ) as balancer:
        assert balancer.stop() == 0
    assert [path.name for path in directory.glob("balancer*")] == []


def test_options_say_what_settings_do_not(settings: Settings, tmp_path: Path) -> None:
    """A port that can't be had is one line."""
    path = tmp_path / "no" / "such" / "directory"
    with pytest.raises(CommandError, match="No such file"):
        call_command("runbalancer", "--socket", str(path), "--port", "0")
    with pytest.raises(CommandError, match="--port"):
        call_command("runbalancer", "--socket", str(path), "--port", "65536")


def test_counters_are_documented() -> None:
    """Each has its row, and no other does."""
    section = (ROOT / "docs/balancer.md").read_text().partition("The counters:")[2]
    rows = section.partition("## ")[0]
    named = set(re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE))
    assert named == {item.name for item in fields(BalancerCounters)}
