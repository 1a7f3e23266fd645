"""The command line: Daphne's, and what is added."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a server's command to its end, in a process of its own: it installs a reactor."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def options(text: str) -> set[str]:
    """Return the long options that a help text names."""
    return set(re.findall(r"--[a-z_-]+", text))


def test_options() -> None:
    """Every option of Daphne is there, and two more."""
    ours, daphnes = (run(module, "--help").stdout for module in ("shardlayer.server", "daphne"))
    assert options(ours) - options(daphnes) == {"--client-buffer-limit", "--gc-threshold"}
    assert options(daphnes) <= options(ours)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--client-buffer-limit", "0"),
        ("--client-buffer-limit", "-1"),
        ("--client-buffer-limit", "much"),
        ("--gc-threshold", "-1"),
        ("--gc-threshold", "never"),
    ],
)
def test_bad_value(option: str, value: str) -> None:
    """A limit that is none is refused in one line that names the option."""
    result = run("shardlayer.server", option, value, "app:application")
    assert result.returncode == 2
    assert option in result.stderr.splitlines()[-1]
