"""The JavaScript client in Node against real workers: Node's own runner, and a real Redis."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from demo.embedded import free_port
from tests.browser.stack import Worker, run_workers
from tests.javascript.conftest import PACKAGE, run

pytestmark = pytest.mark.slow


def test_client_of_real_workers(node: str, tmp_path: Path) -> None:
    """One worker that Node starts and kills, and one that stays; both share a Redis."""
    with run_workers(tmp_path) as workers:
        port = free_port()
        mortal = Worker(directory=tmp_path / "mortal", port=port, environment=workers.environment)
        root = PACKAGE.parents[1]
        environment = ["env", f"--chdir={root}", f"PYTHONPATH={root}"]
        burst = [sys.executable, "-m", "tests.javascript.burst", workers.redis.url]
        real = {
            "command": [*environment, *mortal.command(port)[1:]],
            "burst": [*environment, *burst],
            "port": port,
            "other": workers.first.port,
        }
        output = run(
            node,
            *("--experimental-websocket", "--test", "--test-reporter=tap", "test/server.test.js"),
            REAL_SERVER=json.dumps(real),
            PATH=os.environ["PATH"],
        )
    assert "\n# pass 6\n" in output
    assert "\n# fail 0\n" in output
