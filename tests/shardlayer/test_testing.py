"""The communicators, under Django's own test runner."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.embedded import EmbeddedValkey
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("place", ["memory", "redis"])
def test_database_of_a_test_case_stays_open(
    redis_server: EmbeddedValkey, tmp_path: Path, place: str
) -> None:
    """Whenever a synchronous consumer handles a message, the test's transaction goes on."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.shardlayer.database_site.settings",
        "DATABASE": str(tmp_path / "test.sqlite3"),
        "HOST": redis_server.url if place == "redis" else "memory://",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "django", "test", "tests.shardlayer.database_site.site_tests"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Ran 3 tests" in ended.stderr
