"""What the commands print that run until they are stopped: one line each, JSON where the log is."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.realtime.process import run_manage

pytestmark = pytest.mark.slow

REFUSED = (
    (("runkafka", "--bootstrap", "no host:x"), "is no broker's address"),
    (("runkafka", "--bootstrap", ""), "is no broker's address"),
    (("runkafka", "--topics", "a/b"), "names no topic"),
    (("runkafka", "--group", ""), "needs a name"),
    (("runbalancer", "--port", "0", "--socket", "/nowhere/balancer.sock"), "/nowhere"),
)


def run(tmp_path: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose Redis is not there, which a system check warns of."""
    return run_manage(
        *arguments,
        environ={
            "PATH": "",
            "REDIS_URL": "redis://127.0.0.1:1",
            "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
            "METRICS_DIRECTORY": str(tmp_path / "metrics"),
            **environ,
        },
    )


@pytest.mark.parametrize(("arguments", "says"), REFUSED)
def test_wrong_arguments_are_a_line_of_json(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    """With a log of JSON every line is an object: system checks and the last error too."""
    done = run(tmp_path, *arguments, LOG_JSON="1")
    assert done.returncode == 1
    assert done.stdout == ""
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    warned = [line for line in lines if "shardlayer.W001" in line["message"]]
    # A balancer has nothing to do with Redis, and asks nothing of it.
    assert [line["level"] for line in warned] == ["WARNING"] * (arguments[0] != "runbalancer")
    assert says in lines[-1]["message"]
    assert lines[-1]["level"] == "ERROR"


def test_wrong_arguments_are_a_line_on_a_terminal(tmp_path: Path) -> None:
    """As Django's commands have it."""
    done = run(tmp_path, "runkafka", "--bootstrap", "no host:x")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("CommandError: 'no host:x' is no broker's")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["runkafka", "runbalancer", "realtime"])
def test_wrong_settings_are_a_line(tmp_path: Path, command: str) -> None:
    """Whatever asks for them first."""
    (tmp_path / "wrong_settings.py").write_text(
        "from config.settings import *\nREALTIME = {'NODE_INTERVALL': 3}\n"
    )
    arguments = ("status",) if command == "realtime" else ()
    done = run(
        tmp_path,
        command,
        *arguments,
        *("--settings", "wrong_settings", "--pythonpath", str(tmp_path)),
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("CommandError: ")
    assert "NODE_INTERVALL" in done.stderr
    assert "Traceback" not in done.stderr
