"""`deploy/k6/broadcast.js` with the real k6, at a tenth of the headline."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import tools
from tests.realtime.loadtest.load_site import LoadSite
from tests.realtime.process import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("loadtest"), pytest.mark.needs("k6")]

SCRIPT = ROOT / "deploy" / "k6" / "broadcast.js"
TENTH = {"USERS": "200", "RATE": "25", "SECONDS": "2", "RAMP": "2", "SETTLE": "4", "P95": "5000"}
DELIVERIES = 200 * 25 * 2
MISSED = 99  # k6's exit code when a threshold is not kept


def run(site: LoadSite, summary: Path, **environ: str) -> tuple[int, dict[str, Any]]:
    """Run the script against a worker; return k6's exit code and its figures."""
    done = subprocess.run(
        [
            *(str(tools.find("k6")), "run", "--quiet", "--no-usage-report", "--no-color"),
            *("--summary-export", str(summary), "--address", "127.0.0.1:0", str(SCRIPT)),
        ],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(summary.parent),
            "URL": site.url(),
            "ROOM": "open.k6",
            **TENTH,
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert summary.exists(), done.stderr
    figures: dict[str, Any] = json.loads(summary.read_text())["metrics"]
    return done.returncode, figures


def test_tenth_of_the_headline_is_complete(load_site: LoadSite, tmp_path: Path) -> None:
    """200 users, 5,000 deliveries/s: none lost, none doubled, no connection broken."""
    code, figures = run(load_site, tmp_path / "summary.json")
    assert figures["deliveries"]["count"] == DELIVERIES
    for name in ("lost", "doubled", "close_errors", "refused_publications"):
        assert figures[name]["count"] == 0, name
    assert figures["delivery"]["p(95)"] > 0
    assert code == 0


def test_broken_promise_is_seen(load_site: LoadSite, tmp_path: Path) -> None:
    """Nobody may publish in this room, and nobody may be in it: the thresholds say so."""
    short = {"USERS": "3", "RATE": "5", "SECONDS": "1", "RAMP": "0.1", "SETTLE": "5"}
    code, figures = run(load_site, tmp_path / "summary.json", **short, ROOM="closed.k6")
    assert code == MISSED
    assert figures["lost"]["count"] == 15
    assert figures["close_errors"]["count"] == 3
    assert figures["refused_publications"]["count"] == 5
