"""`honcho start` on the same Procfile."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from demo.embedded import EmbeddedValkey
from demo.embedded.ports import is_free
from tests.demo.devserver.session import Session
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("dev")]


def honcho(checkout: Path, **variables: str) -> Session:
    """Run honcho as its console script does."""
    return Session(checkout, sys.executable, "-m", "honcho", "start", **variables)


def test_balancer_and_workers_land_on_port_and_the_next(checkout: Path, port: int) -> None:
    """honcho gives each process another PORT; the balancer has PORT and the workers the next."""
    with honcho(checkout, PORT=str(port)) as run:
        for each in (port + 1, port + 2, port):
            run.wait_until_serves(each)
        assert run.terminate() == 143  # honcho's: 128 + SIGTERM
        wait_until(lambda: not run.left_behind())
        assert is_free(port)


def test_part_elsewhere_idles(checkout: Path, port: int, redis_server: EmbeddedValkey) -> None:
    """honcho stops all when one process ends, so a part that is not needed waits with them."""
    with honcho(checkout, PORT=str(port), REDIS_URL=redis_server.url) as run:
        run.wait_for("redis: not started, REDIS_URL points elsewhere")
        run.wait_until_serves(port)
        assert run.terminate() == 143
        wait_until(lambda: not run.left_behind())
