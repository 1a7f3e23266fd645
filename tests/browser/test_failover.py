"""The JavaScript client behind the balancer: when its worker dies it comes back on the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.recorder import RecordingClient
from tests.browser.stack import Workers, run_workers
from tests.browser.visitors import WORKER_IS_DOWN, Visitors
from tests.shardlayer.balancer.processes import BalancerProcess
from tests.waiting import wait_until

# Milliseconds, on a busy machine. Measured, it is 100 to 200: the client's own wait and a connect.
BACK_WITHIN = 9_000

WATCH = """
() => {
  globalThis.cuts = [];
  let since = 0;
  client.addEventListener("state", ({ detail }) => {
    const now = performance.now();
    if (detail.state === "live" && since) cuts.push(now - since);
    if (detail.state === "live") since = 0;
    else since ||= now;
  });
}
"""


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[BalancerProcess]:
    """A balancer, whose workers come later."""
    with BalancerProcess(tmp_path) as process:
        yield process


@pytest.fixture
def behind(balancer: BalancerProcess, tmp_path: Path) -> Iterator[Workers]:
    """Two workers behind it."""
    with run_workers(tmp_path / "workers", balancer=balancer.path) as workers:
        wait_until(lambda: len(balancer.loads()) == 2)
        yield workers


@pytest.fixture
def balanced_tab(balancer: BalancerProcess, behind: Workers, visitors: Visitors) -> Page:
    """An empty page, served through the balancer."""
    visitors.expected += ["favicon.ico", *WORKER_IS_DOWN, "Failed to load resource"]
    host, port = balancer.address
    return visitors.open(f"http://{host}:{port}/health/live")


@pytest.mark.timeout(400)
def test_its_worker_dies(balancer: BalancerProcess, behind: Workers, balanced_tab: Page) -> None:
    """It is back within moments, on the worker that is left, and has missed nothing."""
    client = RecordingClient(balanced_tab, "chat.failover")
    client.wait("live", 0)
    balanced_tab.evaluate(WATCH)
    for sent, worker in enumerate((behind.first, behind.second), 1):  # it is on one of them
        worker.kill()
        wait_until(lambda: len(balancer.loads()) == 1)
        wait_until(lambda: client.run("client.status.state") == "live")
        # It may not have noticed yet that its worker is dead.
        published = client.publish("chat.failover", {"n": sent}, retryFor=30_000)
        assert published["offset"] == sent
        client.wait("live", sent)
        worker.start()
        wait_until(lambda: len(balancer.loads()) == 2)
    cuts = client.run("cuts")
    assert cuts, "no worker was the client's"
    assert max(cuts) < BACK_WITHIN, cuts


def test_the_page_tells_of_its_workers(
    balancer: BalancerProcess, behind: Workers, visitors: Visitors
) -> None:
    """The demo's page names the worker of its connection, and after a kill who took over."""
    visitors.expected += [*WORKER_IS_DOWN, "Failed to load resource"]
    host, port = balancer.address
    page = visitors.open(f"http://{host}:{port}/")
    worker = page.locator("[data-part=worker]")
    expect(worker).to_have_text(re.compile("^worker-[12]$"), timeout=30_000)
    name = worker.inner_text()
    other = {"worker-1": "worker-2", "worker-2": "worker-1"}[name]
    (behind.first if name == "worker-1" else behind.second).kill()
    expect(worker).to_have_text(other, timeout=30_000)
    expect(page.locator("[data-part=cut-words]")).to_have_text(
        re.compile(rf"^Away for \d+\.\d s: from {name} to {other}\.$")
    )
    expect(page.locator("[data-part=lost]")).to_have_text("0")
