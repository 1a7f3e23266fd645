"""Daphne's own tests pass with this server in place of Daphne's.

They are in Daphne's source distribution alone, so pip brings that, in the version that is
installed, once for each cache of pytest. Nothing of it is kept in the repository.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.server.logged_process import ROOT

OURS = frozenset({"DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"})
PATIENCE = 600  # seconds: hypothesis starts a server for each of its examples


@pytest.fixture(scope="session")
def daphne_source(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Daphne's source distribution, unpacked. Without a network it is missing, and CI fails."""
    name = f"daphne-{version('daphne')}"
    directory = tmp_path_factory.mktemp("daphne")
    if pytestconfig.pluginmanager.hasplugin("cacheprovider"):
        directory = pytestconfig.cache.mkdir("daphne") if pytestconfig.cache else directory
    archive = directory / f"{name}.tar.gz"
    if not archive.exists():
        pip = (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:")
        result = subprocess.run(
            [*pip, "-d", str(directory), name.replace("-", "==")],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if result.returncode:
            if os.environ.get("CI"):
                pytest.fail(f"pip brings no {name}: {result.stderr}")
            pytest.skip(f"pip brings no {name}")
    unpacked = tmp_path_factory.mktemp("source")
    with tarfile.open(archive) as file:
        # Python 3.11 has the filter from 3.11.4 on.
        if hasattr(tarfile, "data_filter"):
            file.extractall(unpacked, filter="data")
        else:
            file.extractall(unpacked)
    return unpacked / name


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE)
def test_daphnes_tests(daphne_source: Path, tmp_path: Path) -> None:
    """All of them pass, but for those that tests/server/daphne_suite.py names."""
    plugins = ("-p", "tests.server.daphne_suite", "-p", "no:django", "-p", "no:randomly")
    # No pipe: a server that outlives its test would keep it open.
    log = tmp_path / "pytest.log"
    environ = {name: value for name, value in os.environ.items() if name not in OURS}
    with log.open("w") as output:
        result = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-v", "--tb=short", *plugins),
                *("-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "--rootdir", ".", "tests"),
            ],
            cwd=daphne_source,
            # Its application tells what it got by files in the directory for temporary ones.
            env={
                **environ,
                "PYTHONPATH": os.pathsep.join((str(ROOT), ".")),
                "TMPDIR": str(tmp_path),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE - 10,
            check=False,
        )
    assert result.returncode == 0, log.read_text()[-6000:]
    assert " passed" in log.read_text()
