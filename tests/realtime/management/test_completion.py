"""The shell completes subcommands, as bash itself does it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from realtime.management.subcommands.registry import SUBCOMMANDS
from tests.realtime.management.output import lines_of
from tests.waiting import PATIENCE

ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_realtime_completion
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command prints."""
    path = tmp_path_factory.mktemp("completion") / "completion.bash"
    path.write_text("\n".join(lines_of("realtime", "completion")))
    return path


def offered(script: Path, line: str, before: str = "") -> set[str]:
    """Return what bash offers at the end of a line."""
    done = subprocess.run(
        ["bash", "--norc", "-c", before + ASK, "bash", script, *line.split(" ")],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_subcommands(script: Path) -> None:
    """All of them, or those that begin so; also behind python."""
    assert offered(script, "manage.py realtime ") == set(SUBCOMMANDS)
    assert offered(script, "./manage.py realtime ap") == {"apikey"}
    assert offered(script, "python3 manage.py realtime s") == {"shards", "status"}


def test_options_and_subcommands_of_subcommands(script: Path) -> None:
    """Options stand in between and change nothing."""
    assert "--watch" in offered(script, "manage.py realtime status --")
    assert offered(script, "manage.py realtime status --json --w") == {"--watch"}
    assert {"create", "list", "revoke"} <= offered(script, "manage.py realtime apikey ")
    assert offered(script, "manage.py realtime apikey list --j") == {"--json"}
    assert "replay" in offered(script, "python manage.py realtime deadletters ")
    assert {"redis", "--strict"} <= offered(script, "manage.py realtime check ")


def test_other_commands_are_left_to_django(script: Path) -> None:
    """To its completion where the shell has it, else to files."""
    django = "_django_completion() { COMPREPLY=(migrate); }\n"
    assert offered(script, "manage.py mi", django) == {"migrate"}
    assert offered(script, "manage.py mi") == set()
    assert offered(script, "python script.py realtime ") == set()
