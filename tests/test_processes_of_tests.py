"""bin/test's processes: tests that share something big run in the same one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GROUPED = """
import os, pathlib, pytest

@pytest.mark.xdist_group("big")
@pytest.mark.parametrize("number", range(4))
def test_one(number):
    pathlib.Path(os.environ["PYTEST_XDIST_WORKER"]).touch()
"""


@pytest.mark.slow
def test_group_runs_in_one_process(tmp_path: Path) -> None:
    """pytest-xdist keeps a group together; it breaks in silence when the two don't fit."""
    (tmp_path / "test_grouped.py").write_text(GROUPED)
    (tmp_path / "pytest.ini").touch()  # the project's own settings are not its
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "xdist"),
            *("--numprocesses", "2", "--dist", "loadgroup"),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout
    assert len(list(tmp_path.glob("gw*"))) == 1
