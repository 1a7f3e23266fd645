"""Channels' live server for tests, on this server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.logged_process import ROOT


@pytest.mark.timeout(150)
def test_live_server(tmp_path: Path) -> None:
    """A project's tests with `LiveServerTestCase` reach it over HTTP and WebSockets."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "django", "test", "tests.server.live.cases"],
        cwd=ROOT,
        env={
            **os.environ,
            "DIRECTORY": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "tests.server.live.settings",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "Ran 1 test" in result.stderr
