"""What a subcommand imports: itself, and no other."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from demo.embedded import EmbeddedValkey
from realtime.management.subcommands.registry import SUBCOMMANDS
from tests.realtime.operations.deployment import SETTINGS
from tests.realtime.process import ROOT

PROGRAM = """
import sys
from django.core.management import execute_from_command_line
try:
    execute_from_command_line(["manage.py", "realtime", *sys.argv[1:]])
except SystemExit as ended:
    code = ended.code or 0
else:
    code = 0
print("MODULES", *sys.modules)
sys.exit(code)
"""
HEAVY = ("realtime.loadtest", "realtime.kafka.reading", "aiokafka", "websockets", "rich")


def modules_of(server: EmbeddedValkey, *arguments: str) -> tuple[int, list[str], str]:
    """Return how `manage.py realtime` ends, what it has imported by then, and its errors."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "SHARDLAYER_DEMO": "0",
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "REDIS_URL": server.url,
            "DEBUG": "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    [line] = [line for line in done.stdout.splitlines() if line.startswith("MODULES ")]
    return done.returncode, line.split()[1:], done.stderr


def subcommands_in(modules: list[str]) -> set[str]:
    """Return which subcommands are among the modules."""
    return {name for name, path in SUBCOMMANDS.items() if path.rpartition(".")[0] in modules}


def test_status_imports_no_other_subcommand(redis_server: EmbeddedValkey) -> None:
    """Above all not what a load test is made of."""
    code, modules, errors = modules_of(redis_server, "status")
    assert code == 0, errors
    assert subcommands_in(modules) == {"status"}
    assert [name for name in modules if name.startswith(HEAVY)] == []


@pytest.mark.parametrize(
    ("arguments", "code", "imported"),
    [
        (("loadtest", "connect", "--help"), 0, {"loadtest"}),
        (("--verbosity", "0", "status"), 0, set(SUBCOMMANDS)),
        (("statsu",), 1, set(SUBCOMMANDS)),
        (("--help",), 0, set(SUBCOMMANDS)),
        ((), 1, set(SUBCOMMANDS)),
    ],
)
def test_one_that_is_not_named_first_is_found_all_the_same(
    redis_server: EmbeddedValkey, arguments: tuple[str, ...], code: int, imported: set[str]
) -> None:
    """As with an option before the subcommand, or a mistake, which is told as one."""
    found, modules, errors = modules_of(redis_server, *arguments)
    assert bool(found) == bool(code), errors
    assert subcommands_in(modules) == imported
    assert "Traceback" not in errors
