"""A project with a user model of its own: named by e-mail, with a UUID as key."""

from __future__ import annotations

import json
import os
import subprocess
import sys


def test_users_of_a_projects_own_model() -> None:
    """All pages of the admin, presence and `disconnect` know them as Django does."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.realtime.custom_users.visit"],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.realtime.custom_users.settings"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    key = found["key"]
    assert found["connected"]["connected"]["user"] == "ada@example.org"
    assert found["people"] == [key]
    assert set(found["pages"].values()) == {200}, found["pages"]
    assert "ada@example.org" in found["room"]
    assert key in found["room"]
    assert (found["published"], found["logged"]) == (302, [key])
    assert found["closed"][0] == 4002
