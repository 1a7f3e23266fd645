"""`manage.py runbalancer`, as a process with workers behind it."""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from shardlayer.balancer.balancer_counters import BalancerCounters
from tests.server.client import RawClient
from tests.server.logged_process import ROOT
from tests.shardlayer.balancer.processes import BalancerProcess

COMMAND = (sys.executable, "manage.py", "runbalancer")


def test_workers_behind_it(tmp_path: Path) -> None:
    """It serves by worker processes, with the capacity that the settings say."""
    with BalancerProcess(tmp_path, command=COMMAND) as balancer, balancer.worker():
        balancer.wait_loads(worker_1=0)
        assert balancer.health()["capacity"] == 12_000
        with RawClient(balancer.connect()) as client:
            assert client.status == 101
        assert balancer.stop() == 0


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
