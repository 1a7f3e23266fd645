"""The wheel as users get it, and fresh environments that have it with one extra or none."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Environment:
    """A virtual environment with the wheel in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bin = directory / "bin"
        venv.create(directory, symlinks=True)

    def install(self, *requirements: str) -> None:
        """Install packages, in the versions of constraints.txt."""
        constraints = ("--constraint", str(ROOT / "constraints.txt"))
        # To compile all of them ahead is most of an installation's CPU.
        self.pip("install", "--quiet", "--no-input", "--no-compile", *constraints, *requirements)

    def pip(self, *arguments: str) -> None:
        """Have the pip of this Python work there: to give each its own takes seconds of CPU."""
        done = subprocess.run(
            [sys.executable, "-m", "pip", "--python", str(self.bin / "python"), *arguments],
            env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, program: str, *arguments: str, cwd: Path | None = None) -> str:
        """Run one of its programs, and return what it printed."""
        done = self.attempt(program, *arguments, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def attempt(
        self, program: str, *arguments: str, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, whatever it ends with, away from the sources."""
        return subprocess.run(
            [self.bin / program, *arguments],
            cwd=cwd or self.directory,
            env={"PATH": str(self.bin), "PIP_DISABLE_PIP_VERSION_CHECK": "1"} | PIP_SETTINGS,
            capture_output=True,
            text=True,
        )


PIP_SETTINGS = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    directory = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", directory, ROOT],
        check=True,
        capture_output=True,
    )
    return directory


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    """The wheel that was built from the sdist."""
    [path] = distributions.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def environment(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Environment]:
    """Return a fresh environment with the wheel and an extra; the same one for the same extra."""
    made: dict[str, Environment] = {}

    def get(extra: str = "") -> Environment:
        if extra not in made:
            made[extra] = Environment(tmp_path_factory.mktemp("environment") / "venv")
            made[extra].install(f"{wheel}[{extra}]" if extra else str(wheel))
        return made[extra]

    return get


def names_in(path: Path) -> dict[str, bytes]:
    """Return what a wheel holds, by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
