"""The npm package in clients/js, with what its lock file names."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests import tools

PACKAGE = Path(__file__).resolve().parents[2] / "clients" / "js"
NPM = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


@pytest.hookimpl(tryfirst=True)  # before each file gets a group of its own
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder: one process of pytest-xdist installs and runs them."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.needs("node"))
            item.add_marker(pytest.mark.needs("npm"))
            item.add_marker(pytest.mark.xdist_group("javascript"))
            item.add_marker(pytest.mark.timeout(300))  # npm may have to fetch


def run(*command: str | Path, **variables: str) -> str:
    """Run a program in the package's folder, and return what it printed."""
    done = subprocess.run(
        command,
        cwd=PACKAGE,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"[-10_000:]
    return done.stdout


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node, with the package built and its dependencies installed."""
    installed = PACKAGE / "node_modules" / ".package-lock.json"
    wanted = (PACKAGE / "package-lock.json").stat().st_mtime
    if not installed.exists() or installed.stat().st_mtime < wanted:
        run(tools.find("npm") or "", *NPM)
        installed.touch()
    node = tools.find("node") or ""
    run(node, "build.mjs", "dist")  # what `@shardlayer/client` is, to the package's own tests too
    return node
