"""The command line: Daphne's, and what is added."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields

import pytest

from shardlayer.server.connection_limits import ConnectionLimits
from tests.waiting import PATIENCE


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a server's command to its end, in a process of its own: it installs a reactor."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def options(text: str) -> set[str]:
    """Return the long options that a help text names."""
    return set(re.findall(r"--[a-z_-]+", text))


def test_options() -> None:
    """Every option of Daphne is there, and some more."""
    ours, daphnes = (run(module, "--help").stdout for module in ("shardlayer.server", "daphne"))
    assert options(ours) - options(daphnes) == {
        *(f"--{item.name.replace('_', '-')}" for item in fields(ConnectionLimits)),
        "--backlog",
        "--blocking-threshold",
        "--balancer",
        "--capacity",
        "--client-buffer-limit",
        "--client-frame-rate",
        "--client-message-timeout",
        "--drain-seconds",
        "--gc-threshold",
        "--hang-timeout",
        "--http-max-body-size",
        "--http-request-timeout",
        "--shutdown-timeout",
        "--websocket-compression",
        "--websocket-compression-min-clients",
        "--websocket-compression-min-size",
        "--worker-name",
    }
    assert options(daphnes) <= options(ours)


BAD_VALUES = [
    *((f"--{item.name.replace('_', '-')}", "-1") for item in fields(ConnectionLimits)),
    ("--client-buffer-limit", "-1"),
    ("--client-buffer-limit", "much"),
    ("--backlog", "0"),
    ("--client-frame-rate", "-1"),
    ("--client-message-timeout", "-1"),
    ("--http-max-body-size", "-1"),
    ("--http-request-timeout", "-1"),
    ("--capacity", "-1"),
    ("--gc-threshold", "-1"),
    ("--gc-threshold", "never"),
    ("--drain-seconds", "-1"),
    ("--drain-seconds", "23"),  # leaves no time for the rest of --shutdown-timeout
    ("--shutdown-timeout", "inf"),
    ("--shutdown-timeout", "17"),
    ("--hang-timeout", "nan"),
    ("--blocking-threshold", "-0.1"),
    ("--websocket-compression", "-1"),
    ("--websocket-compression", "10"),
    ("--websocket-compression-min-size", "-1"),
    ("--websocket-compression-min-clients", "some"),
]

REFUSALS = """
import contextlib, io, json, sys
from shardlayer.server.cli import CommandLineInterface

def refusal(arguments):
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        try:
            CommandLineInterface().run(arguments)
        except SystemExit as end:
            return [end.code, told.getvalue()]

print(json.dumps([refusal(arguments) for arguments in json.load(sys.stdin)]))
"""


@pytest.fixture(scope="module")
def refusals() -> dict[tuple[str, str], tuple[int, str]]:
    """What the command ends with for each bad value, and says; told by one process for all."""
    given = [[option, value, "app:application"] for option, value in BAD_VALUES]
    result = subprocess.run(
        [sys.executable, "-c", REFUSALS],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = json.loads(result.stdout)
    return {bad: (code, told) for bad, (code, told) in zip(BAD_VALUES, found, strict=True)}


@pytest.mark.parametrize(("option", "value"), BAD_VALUES)
def test_bad_value(
    refusals: dict[tuple[str, str], tuple[int, str]], option: str, value: str
) -> None:
    """A limit that is none is refused in one line that names the option."""
    code, told = refusals[option, value]
    assert code == 2
    assert option in told.splitlines()[-1]


def test_bad_value_ends_the_command() -> None:
    """It ends as argparse ends a command."""
    option, value = BAD_VALUES[0]
    result = run("shardlayer.server", option, value, "app:application")
    assert result.returncode == 2
    assert option in result.stderr.splitlines()[-1]


def test_server_class_of_a_subclass() -> None:
    """A subclass of the command line names the server that it runs, as with Daphne's."""
    program = """
from shardlayer.server.cli import CommandLineInterface
from shardlayer.server.server import Server

class OwnServer(Server):
    def run(self):
        print("own", self.client_frame_rate, self.endpoints)

class OwnCommandLine(CommandLineInterface):
    server_class = OwnServer

OwnCommandLine().run(["--client-frame-rate", "7", "--backlog", "9", "-p", "0",
                      "tests.server.application:application"])
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert result.stdout.strip() == "own 7 ['tcp:port=0:interface=127.0.0.1:backlog=9']"
