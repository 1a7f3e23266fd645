"""Taskfile.yml, read by Task itself: which tasks there are, and what each would run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.realtime.process import BIN

ROOT = Path(__file__).resolve().parents[2]
TASKS = {
    *("default", "dev", "test", "load", "smoke", "up", "down", "scale"),
    *("local:multi:up", "local:multi:test", "local:multi:down"),
    *("horizontal:up", "horizontal:down"),
}


def task(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Task in the project's folder."""
    command = [str(BIN / "task"), "--color=false", *arguments]  # in CI it has colours, unasked
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def commands(name: str, *arguments: str) -> list[list[str]]:
    """Return what a task would run, each as its words."""
    shown = task("--dry", name, *arguments)
    assert shown.returncode == 0, shown.stderr
    lines = re.findall(r"^task: \[[\w:]+\] (.*)$", shown.stderr, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def test_tasks() -> None:
    """These there are, and each but the first says what it is for."""
    listed = json.loads(task("--list-all", "--json").stdout)["tasks"]
    assert {item["name"] for item in listed} == TASKS
    assert {item["name"] for item in listed if not item["desc"]} == {"default"}


@pytest.mark.parametrize("name", sorted(TASKS - {"default"}))
def test_runs_what_is_there(name: str) -> None:
    """Each is a few commands, whose programs and files exist."""
    found = commands(name, *(["NODES=5"] if name == "scale" else []))
    assert 1 <= len(found) <= 2
    for program, *words in found:
        if program == "docker":
            assert words[0] == "compose"
            files = [words[at + 1] for at, word in enumerate(words) if word == "-f"]
        else:
            files = [program, *(word for word in words if word.startswith("bin/"))]
        assert all((ROOT / file).is_file() for file in files if file != ".venv/bin/python")


def test_scale() -> None:
    """So many nodes, none of which is made anew; the number has to be said."""
    [[*words]] = commands("scale", "NODES=5")
    assert words[-2:] == ["--scale", "node=5"]
    assert "--no-recreate" in words
    refused = task("--dry", "scale")
    assert refused.returncode != 0
    assert "NODES" in refused.stderr


def test_arguments_are_passed_on() -> None:
    """What stands behind `--` replaces the default, where there is one."""
    assert commands("test", "--", "-k", "compose") == [["bin/test", "-k", "compose"]]
    assert commands("load")[0][-2:] == ["broadcast", "--quick"]
    assert commands("load", "--", "connect")[0][-1] == "connect"
    assert commands("smoke", "--", "https://a")[0][-1] == "https://a"
