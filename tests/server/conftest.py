"""Servers for the tests of the server; what a test changes on one of them it tells by counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.balancer import Door, ScriptedBalancer
from tests.server.process import ServerProcess

LOOPBACK = ("-e", "tcp:port=0:interface=127.0.0.1")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server on TCP with Daphne's default options."""
    with ServerProcess(tmp_path_factory.mktemp("tcp"), *LOOPBACK) as process:
        yield process


@pytest.fixture(scope="session")
def unlimited_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that takes messages of any size, and as many as there are."""
    limits = ("--websocket-max-message-size", "0", "--websocket-max-frame-size", "0")
    rate = ("--client-frame-rate", "0")
    with ServerProcess(tmp_path_factory.mktemp("unlimited"), *LOOPBACK, *limits, *rate) as process:
        yield process


@pytest.fixture(scope="session")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that believes its proxy."""
    with ServerProcess(tmp_path_factory.mktemp("proxy"), *LOOPBACK, "--proxy-headers") as process:
        yield process


@pytest.fixture(scope="session")
def compressing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that agrees on compression."""
    options = ("--websocket-compression", "6", "--websocket-max-message-size", "100000")
    with ServerProcess(tmp_path_factory.mktemp("deflate"), *LOOPBACK, *options) as process:
        yield process


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[ScriptedBalancer]:
    """A balancer that does what the test says."""
    with ScriptedBalancer(tmp_path / "balancer.sock") as made:
        yield made


@pytest.fixture
def door() -> Iterator[Door]:
    """Where clients come in."""
    made = Door()
    yield made
    made.close()
