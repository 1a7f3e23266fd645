"""The generated configuration under a real supervisord: all parts, a killed worker, the end."""

from __future__ import annotations

import getpass
import json
import re
import subprocess
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil
import pytest

from tests.demo.devserver.checkout import free_ports, make_checkout
from tests.demo.devserver.session import Session
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("dev")]
PATIENCE = 90.0  # seconds; two cores start everything


def status(port: int) -> str:
    """Return what a worker says of itself; nothing while it does not."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/health", headers={"Host": "a.probe.invalid"})
        return str(json.loads(connection.getresponse().read())["status"])
    except (OSError, HTTPException, ValueError):  # the balancer's 503 is no JSON
        return ""
    finally:
        connection.close()


def test_under_supervisord(tmp_path: Path) -> None:
    """Everything comes up in production mode, a killed worker comes back, and all end in order."""
    checkout, port = make_checkout(tmp_path / "checkout"), free_ports()
    first, second = port + 1, port + 2  # the balancer has the one before
    (checkout / "var/log").mkdir(parents=True, mode=0o700)
    subprocess.run(
        [
            *(sys.executable, "-m", "demo.supervision", "--output", "generated"),
            *("--directory", str(checkout), "--user", getpass.getuser()),
            *("--open-files", "1024"),  # as many as the tests' own user may have
        ],
        cwd=checkout,
        check=True,
        timeout=60,
    )
    command = (sys.executable, "-m", "supervisor.supervisord", "-n", "-s", "-c")
    configuration = "generated/supervisor/shardlayer.conf"
    secret = "a secret for the tests of a supervised installation"
    variables = {"PORT": str(port), "DJANGO_SECRET_KEY": secret}
    with Session(checkout, *command, configuration, **variables) as run:
        wait_until(
            lambda: status(first) == status(second) == status(port) == "ready", within=PATIENCE
        )
        worker = find_worker(run, first)
        assert worker is not None
        worker.kill()
        wait_until(lambda: find_worker(run, first, but=worker) is not None, within=PATIENCE)
        wait_until(lambda: status(first) == "ready", within=PATIENCE)
        assert status(second) == "ready"
        run.process.terminate()
        assert run.process.wait(PATIENCE) == 0
        run.leaves_nothing()
    log = (checkout / "var/log/supervisord.log").read_text()
    assert re.search(r"worker-1 \(terminated by SIGKILL; not expected\)", log)
    ended = re.findall(r"stopped: ([a-z0-9-]+) \((.*)\)", log)
    names = [name for name, _ in ended]
    assert names[0] == "balancer"
    assert sorted(names[1:3]) == ["worker-1", "worker-2"]
    assert sorted(names[3:5]) == ["feed", "pool"]
    assert names[5:] == ["kafka", "redis"]
    assert not any("SIGKILL" in how for _, how in ended)
    assert {how for name, how in ended if name.startswith("worker")} == {"exit status 0"}


def find_worker(
    run: Session, port: int, but: psutil.Process | None = None
) -> psutil.Process | None:
    """Return the process that serves a port."""
    for process in run.left_behind():
        try:
            if process != but and f"-p {port} " in " ".join(process.cmdline()):
                return process
        except psutil.NoSuchProcess:
            continue
    return None
