"""`manage.py realtime check` as a person and as a program runs it."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from tests.realtime.management.output import lines_of
from tests.realtime.process import run_manage


def test_lines_and_exit(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each finding, how to mend it below, and a sentence on standard error."""
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = []
    with pytest.raises(CommandError, match=r"Faults: 1\. Warnings: 0\."):
        call_command("realtime", "check", "origin")
    first, hint = capsys.readouterr().out.splitlines()
    assert first.startswith("FAULT    origin    ALLOWED_HOSTS is empty")
    assert hint.strip().startswith("-> Set ALLOWED_HOSTS")


def test_warnings_count_when_it_is_strict(settings: Settings) -> None:
    """Only then."""
    settings.ALLOWED_HOSTS = ["*"]
    assert lines_of("realtime", "check", "origin")[0].startswith("WARNING")
    with pytest.raises(CommandError, match="Warnings: 1"):
        call_command("realtime", "check", "origin", "--strict")


def test_json(settings: Settings) -> None:
    """One line, also where something is wrong."""
    settings.ALLOWED_HOSTS = ["*"]
    [line] = lines_of("realtime", "check", "origin", "--json")
    found = json.loads(line)
    assert found["level"] == "warning"
    assert [each["check"] for each in found["findings"]] == ["origin"]


def test_unknown_check() -> None:
    """It says which there are."""
    with pytest.raises(CommandError, match="there are settings, "):
        call_command("realtime", "check", "colour")


def test_all_of_it_against_what_hangs(redis_server: EmbeddedValkey, tmp_path: Path) -> None:
    """A Kafka that accepts and says nothing, a project that is wrong: lines in time, and an end."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        done = run_manage(
            *("realtime", "check", "--json", "--timeout", "10"),
            environ={
                "PATH": "",
                "REDIS_URL": redis_server.url,
                "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
                "METRICS_DIRECTORY": str(tmp_path / "metrics"),
                "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{silent.getsockname()[1]}",
            },
        )
        took = time.monotonic() - began
    assert done.returncode == 1
    found = {each["check"]: each for each in json.loads(done.stdout)["findings"]}
    assert found["kafka"]["level"] == "fault"
    assert "lacks migrations" in found["database"]["text"]
    assert done.stderr.splitlines()[-1].startswith("CommandError: Faults:")
    assert "Traceback" not in done.stderr
    assert took < 50


def test_end_though_a_check_never_ends(tmp_path: Path) -> None:
    """A module that blocks when it is imported keeps neither the others nor the process."""
    (tmp_path / "stuck.py").write_text("import threading\nthreading.Event().wait()\n")
    (tmp_path / "stuck_settings.py").write_text(
        "from config.settings import *\nASGI_APPLICATION = 'stuck.application'\n"
    )
    done = run_manage(
        *("realtime", "check", "routing", "origin", "--timeout", "5"),
        *("--settings", "stuck_settings", "--pythonpath", str(tmp_path)),
        environ={"PATH": "", "METRICS_DIRECTORY": str(tmp_path / "metrics")},
    )
    assert done.returncode == 1
    assert "FAULT    routing   No answer within 5 s." in done.stdout
    assert "ok       origin" in done.stdout
