"""What comes before bin/dev proper: the virtual environment and its packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.demo.devserver.checkout import make_checkout
from tests.demo.devserver.session import Session

pytestmark = pytest.mark.slow


@pytest.fixture
def own_checkout(tmp_path: Path) -> Path:
    """A checkout that a test may break."""
    return make_checkout(tmp_path / "checkout")


def install(checkout: Path, *arguments: str) -> Session:
    """Run bin/install.py with the checkout's own Python."""
    return Session(checkout, ".venv/bin/python", "bin/install.py", *arguments)


def test_nothing_is_done_when_nothing_changed(own_checkout: Path) -> None:
    """The environment is used as it is, also by the command that needs less of it."""
    with install(own_checkout, "embedded", "-c", "print('it runs')") as run:
        assert run.wait() == 0
    assert run.output == "it runs\n"


def test_failed_installation_is_told_and_tried_again(own_checkout: Path) -> None:
    """pip's own last lines are shown, nothing is run, and the environment passes for none."""
    (own_checkout / "pyproject.toml").write_text("[")
    for _ in range(2):
        with install(own_checkout, "dev", "-c", "print('it runs')") as run:
            assert run.wait() == 1
        assert run.output.startswith("The packages could not be installed:\n")
        assert "TOML" in run.output
        assert "it runs" not in run.output
    assert not (own_checkout / ".venv" / "installed.json").exists()


def test_unknown_extra_is_refused(own_checkout: Path) -> None:
    """Only extras that hold each other can be told apart by one note."""
    with install(own_checkout, "demo") as run:
        assert run.wait() == 2
    assert "'demo' is none of embedded, dev" in run.output


def test_unknown_argument_of_bin_dev_is_refused(own_checkout: Path) -> None:
    """bin/dev takes none, and says by what it is set."""
    with Session(own_checkout, "bin/dev", "--port=9000") as run:
        assert run.wait() == 2
    assert "unrecognized arguments: --port=9000" in run.output


def test_environment_elsewhere_is_left_alone_and_used(own_checkout: Path) -> None:
    """VENV names the environment, as for a second Python; `.venv` is not looked at."""
    (own_checkout / ".venv").rename(own_checkout / ".venv-other")
    for command in (
        (".venv-other/bin/python", "bin/install.py", "dev", "-c", "import sys; print(sys.prefix)"),
        ("bin/part", "shell", "python", "-c", "import sys; print(sys.prefix)"),
    ):
        with Session(own_checkout, *command, VENV=".venv-other") as run:
            assert run.wait() == 0
        assert run.output == f"{own_checkout / '.venv-other'}\n"
    assert not (own_checkout / ".venv").exists()
