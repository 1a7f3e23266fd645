"""A real Chromium, and real workers for it to talk to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from demo.embedded import EmbeddedTansu
from tests import tools
from tests.browser.recorder import PATIENCE
from tests.browser.stack import Workers, run_workers
from tests.browser.visitors import Visitors

expect.set_options(timeout=PATIENCE)

ARGUMENTS = (
    "--no-sandbox",  # root, in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


# A module's, not the session's: while Playwright runs, no other event loop can in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; each test opens contexts of its own in it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=tools.find("chromium"), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Two workers and their Redis, without any input."""
    with run_workers(tmp_path_factory.mktemp("workers")) as workers:
        yield workers


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """The whole demo: two workers, and this machine's figures through Kafka."""
    directory = tmp_path_factory.mktemp("demo")
    with (
        EmbeddedTansu(directory=directory / "kafka", topics={"events": 8}) as kafka,
        run_workers(directory, kafka=kafka) as workers,
    ):
        yield workers


@pytest.fixture
def visitors(browser: Browser) -> Iterator[Visitors]:
    """Opens pages, and in the end fails for what went wrong in any of them unseen."""
    visitors = Visitors(browser)
    yield visitors
    visitors.leave()


@pytest.fixture
def tab(visitors: Visitors, workers: Workers) -> Page:
    """An empty page of a worker, whose modules it can import."""
    visitors.expected.append("favicon.ico")  # it has none, being no page for people
    return visitors.open(f"{workers.first.url}health/live")
