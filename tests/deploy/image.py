"""What deploy/Dockerfile makes, without Docker: its context, its steps in a folder, its command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
PIP_SETTINGS = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}


def instructions() -> Iterator[tuple[str, str]]:
    """Yield each instruction and its arguments."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, arguments = line.partition(" ")
            yield name, arguments.strip()


def copy_context(folder: Path) -> None:
    """Copy what Docker would send: all is ignored but the names with `!`, and byte code."""
    lines = (ROOT / ".dockerignore").read_text().split()
    assert (lines[0], lines[-1]) == ("*", "**/__pycache__")
    for name in (line[1:] for line in lines[1:-1]):
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy2(source, folder / name)


class Image:
    """A folder with the project, and a virtual environment in the place of the image's Python.

    Attributes:
        folder: What is `/app` in the image.
        command: What CMD runs.
        variables: What ENV sets.
    """

    def __init__(self, directory: Path) -> None:
        self.folder = directory / "app"
        self._environment = directory / "venv"
        self.variables: dict[str, str] = {}
        self.command: list[str] = []
        self.user = ""

    def build(self) -> None:
        """Do what the Dockerfile says, but for making a user."""
        self.folder.mkdir()
        venv.create(self._environment, with_pip=True, symlinks=True)
        for name, arguments in instructions():
            match name:
                case "COPY":
                    assert arguments == ". ."
                    copy_context(self.folder)
                case "RUN" if not arguments.startswith("useradd "):
                    subprocess.run(
                        ["/bin/sh", "-ec", arguments],
                        cwd=self.folder,
                        env={**self.environment(), **PIP_SETTINGS},
                        check=True,
                        capture_output=True,
                    )
                case "ENV":
                    key, _, value = arguments.partition("=")
                    self.variables[key] = value
                case "USER":
                    self.user = arguments
                case "CMD":
                    self.command = json.loads(arguments)
                case "FROM" | "WORKDIR" | "EXPOSE" | "RUN":
                    pass
                case _:
                    raise AssertionError(f"{name}: teach it to tests/deploy/image.py")
        self._make_unwritable()

    def environment(self, **more: str) -> dict[str, str]:
        """Return the variables of a process in it."""
        path = f"{self._environment / 'bin'}:/usr/bin:/bin"
        return {"PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **self.variables, **more}

    def words(self, *command: str) -> list[str]:
        """Return a command's words, run by nobody who may write to it: root gives up all rights."""
        program = shutil.which(command[0], path=str(self._environment / "bin"))
        assert program is not None, command[0]
        rights = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"]
        return [*(rights if os.geteuid() == 0 else []), program, *command[1:]]

    def _make_unwritable(self) -> None:
        for folder, _, files in os.walk(self.folder):
            for path in (folder, *(os.path.join(folder, file) for file in files)):
                os.chmod(path, os.stat(path).st_mode & ~0o222)

    def remove(self) -> None:
        """Remove it, as its owner with all rights."""
        for folder, _, _ in os.walk(self.folder):
            os.chmod(folder, 0o755)
        shutil.rmtree(self.folder.parent)
