"""A project with transactions, a login and a cache around every page: ours work all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a visit of that project found, with its real settings."""
    folder = tmp_path_factory.mktemp("strict")
    done = subprocess.run(
        [sys.executable, "-m", "tests.realtime.strict_project.visit"],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.realtime.strict_project.settings",
            "STRICT_PROJECT": str(folder),
        },
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def test_settings_are_strict(found: dict[str, Any]) -> None:
    """A page of the project needs a login; another comes from the cache, and has a transaction."""
    assert found["own"] == {"page": 302, "visits": ["1 True", "1 True"]}


@pytest.mark.parametrize("handler", ["wsgi", "asgi"])
def test_machines_are_answered(found: dict[str, Any], handler: str) -> None:
    """They have no session; nothing of it may be kept, by whatever is in between."""
    answers = found[handler]
    assert len(answers) == 8
    statuses = {path: [status for status, _ in told] for path, told in answers.items()}
    assert statuses == {path: [200] * len(told) for path, told in answers.items()}
    assert all("no-store" in cached for told in answers.values() for _, cached in told)


def test_note_of_an_action_is_kept_before_it_is_done(found: dict[str, Any]) -> None:
    """No transaction of the request is around it, which may be taken back after the action."""
    staff = found["staff"]
    assert staff["posted"] == [302, 302, 302]
    assert staff["open"]
    assert not any(staff["open"])
    assert set(staff["pages"].values()) == {200}
