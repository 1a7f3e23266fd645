"""A shell in the project's folder knows where the demo is that runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.devserver.running_demo import NOTE, noted_as_running, with_running_demo

ENVIRONMENT = {"REDIS_URL": "redis://:pw@127.0.0.1:8010", "PORT": "8000"}


def test_shell_gets_what_it_does_not_say(tmp_path: Path) -> None:
    """While it runs; a variable of the shell's own counts more. Only the owner may read it."""
    given = {"METRICS_DIRECTORY": "/figures", "HOME": "/home/somebody", "REDIS_URL": ""}
    with noted_as_running(tmp_path, ENVIRONMENT, given):
        assert (tmp_path / NOTE).stat().st_mode & 0o777 == 0o600
        found = with_running_demo({"PORT": "1", "LOG_LEVEL": ""}, tmp_path)
        assert found == {
            "REDIS_URL": ENVIRONMENT["REDIS_URL"],
            "METRICS_DIRECTORY": "/figures",
            "PORT": "1",
        }
    assert not (tmp_path / NOTE).exists()
    assert with_running_demo({"PORT": "1"}, tmp_path) == {"PORT": "1"}


@pytest.mark.parametrize(
    "environ",
    [
        {"REDIS_URL": "redis://elsewhere"},
        {"DATABASE_URL": "sqlite:///x"},
        {"DJANGO_DEBUG": "0"},
        {"DJANGO_DEBUG": "Off"},
        {"SHARDLAYER_DEMO": "0"},
    ],
)
def test_shell_that_knows_where_to_go_gets_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    """Half of another deployment would be worse than none; production never looks."""
    with noted_as_running(tmp_path, ENVIRONMENT, {}):
        assert with_running_demo(environ, tmp_path) is environ


def test_note_of_a_process_that_was_killed_does_not_count(tmp_path: Path) -> None:
    """Nor that of another process which has its number now, nor what is no note."""
    with noted_as_running(tmp_path, ENVIRONMENT, {}):
        note = json.loads((tmp_path / NOTE).read_text())
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for text in (
        json.dumps({**note, "pid": ended.pid}),
        json.dumps({**note, "began": "1"}),
        json.dumps({**note, "pid": "x"}),
        "[]",
        "{",
        "",
    ):
        (tmp_path / NOTE).write_text(text)
        assert with_running_demo({}, tmp_path) == {}, text
    (tmp_path / NOTE).write_text(json.dumps(note))
    assert note["pid"] == os.getpid()
    assert with_running_demo({}, tmp_path) == ENVIRONMENT
