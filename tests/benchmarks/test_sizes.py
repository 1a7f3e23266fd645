"""`python -m benchmarks.sizes`, with few connections: everything works, and prints its figures."""

from __future__ import annotations

import re

import psutil
import pytest

from benchmarks.sizes import nodes, proxies


def is_orphan_of_nginx(pid: int) -> bool:
    """Say whether it is a process of an nginx that has ended."""
    try:
        process = psutil.Process(pid)
        return process.name() == "nginx" and process.ppid() == 1
    except psutil.NoSuchProcess:
        return False


@pytest.mark.needs("haproxy", "nginx")
@pytest.mark.slow
def test_proxies(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The kernel, HAProxy and nginx, the last two with the configurations of deploy/."""
    monkeypatch.setattr(proxies, "COUNT", 200)
    monkeypatch.setattr(proxies, "WARM_UP", 20)
    before = set(psutil.pids())
    proxies.measure_proxies()
    left = [pid for pid in psutil.pids() if pid not in before and is_orphan_of_nginx(pid)]
    assert left == []
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in said] == ["kernel", "haproxy", "nginx"]
    assert all(re.search(r"\d KB .* idle|\d KB .* \d+ us", line) for line in said)


@pytest.mark.slow
async def test_nodes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A publication's cost in Redis, for each number of nodes."""
    monkeypatch.setattr(nodes, "NODES", (0, 2))
    monkeypatch.setattr(nodes, "PUBLICATIONS", 1000)
    monkeypatch.setattr(nodes, "LEASE", 2)
    await nodes.measure_nodes()
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in said] == ["0 nodes", "2 nodes"]
