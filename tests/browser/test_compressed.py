"""Chromium takes compressed pushes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from demo.embedded import free_port
from tests.browser.recorder import RecordingClient
from tests.browser.stack import Worker
from tests.browser.visitors import Visitors
from tests.realtime.test_compressed_clients import saved
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def compressing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker without Redis that compresses for two clients or more."""
    directory = tmp_path_factory.mktemp("compressing")
    environment = {
        "REDIS_URL": "memory://",
        "DATABASE_URL": f"sqlite:///{directory / 'db.sqlite3'}",
        "DJANGO_DEBUG": "1",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    options = ("--websocket-compression=1", "--websocket-compression-min-clients=2")
    with Worker(
        directory=directory, port=free_port(), environment=environment, options=options
    ) as worker:
        yield worker


def test_compressed_pushes(visitors: Visitors, browser: Browser, compressing: Worker) -> None:
    """Two tabs of a room get what was published, in order, short and long, in fewer bytes."""
    visitors.expected.append("favicon.ico")
    tabs = [visitors.open(f"{compressing.url}health/live") for _ in range(2)]
    here, there = (RecordingClient(tab, "chat.compressed") for tab in tabs)
    here.wait("live", 0)
    there.wait("live", 0)
    data = [{"n": n, "text": "ärger und news, " * n * n} for n in range(40)]
    for each in data:
        here.publish("chat.compressed", each)
    here.wait("live", len(data))
    there.wait("live", len(data))
    assert here.data == there.data == data
    wait_until(lambda: saved(compressing.port) > 100_000, what="little was saved")
