"""A copy of the project for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.demo.devserver.checkout import free_ports, make_checkout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which bin/dev can run; what a run leaves in var/ the next one finds."""
    return make_checkout(tmp_path_factory.mktemp("dev") / "checkout")


@pytest.fixture
def port() -> int:
    """A PORT for one run."""
    return free_ports()
