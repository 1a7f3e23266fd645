"""Finding a Python that is new enough, before anything else can be said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.demo.devserver.session import Session


@pytest.fixture
def old_python(tmp_path: Path) -> Path:
    """A Python 3.9, as far as the shell scripts ask."""
    program = tmp_path / "python3"
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" || exit 1\n')
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("command", ["bin/dev", "bin/test"])
def test_old_python_is_named(checkout: Path, old_python: Path, command: str) -> None:
    """One line says what is needed, what was found and how to name another."""
    with Session(checkout, command, PYTHON=str(old_python)) as run:
        assert run.wait() == 1
    assert run.output == (
        f"{command}: needs Python 3.11 or newer; {old_python} is Python 3.9.2. "
        f"PYTHON=/path/to/python {command} uses another.\n"
    )


def test_missing_python_is_named(checkout: Path) -> None:
    """A PYTHON that does not exist is told as such."""
    with Session(checkout, "bin/dev", PYTHON="no-such-python") as run:
        assert run.wait() == 1
    assert "no-such-python is not found" in run.output
