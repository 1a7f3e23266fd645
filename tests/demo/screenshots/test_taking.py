"""Pictures are taken of a demo that really runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PNG = b"\x89PNG\r\n\x1a\n"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.mark.browser
@pytest.mark.needs("prometheus")
def test_pictures_of_a_page_the_admin_and_a_dashboard(tmp_path: Path) -> None:
    """Light and dark, of each kind."""
    names = ("demo", "admin-rooms", "dashboard-kafka")
    command = [sys.executable, "-m", "demo.screenshots", "--folder", str(tmp_path)]
    ran = subprocess.run(
        [*command, "--seconds", "5", "--only", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(found) == {f"{name}-{theme}.png" for name in names for theme in ("light", "dark")}
    assert all(data.startswith(PNG) for data in found.values())
    for name in names:
        assert found[f"{name}-light.png"] != found[f"{name}-dark.png"]
