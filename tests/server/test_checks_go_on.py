"""The checks of limits in time go on, whatever one of them raises."""

from __future__ import annotations

import subprocess
import sys

from tests.waiting import PATIENCE

PROGRAM = """
import logging
from shardlayer.server import server as module

class Reactor:
    def callLater(self, seconds, call):
        print(seconds, call.__name__)

class Broken:
    def check_timeouts(self):
        raise RuntimeError("a connection's")

    def handle_exception(self, error):
        raise RuntimeError("an answer's")

class Good:
    def check_timeouts(self):
        print("checked")

class Failed:
    def done(self):
        return True

    def exception(self):
        return ValueError("an application's")

logging.basicConfig()
import daphne.server
module.reactor = daphne.server.reactor = Reactor()
server = module.Server(None, endpoints=["tcp:port=0"])
server.connections = {Broken(): {"application_instance": Failed()}, Good(): {}}
server.timeout_checker()
server.application_checker()
server.connections.clear()
server.timeout_checker()
server.application_checker()
"""


def test_checks_go_on() -> None:
    """Daphne has each called again as its last act, which an error would leave out.

    Nor does an error keep the connections that come after it from their check.
    """
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.stdout.splitlines() == [
        *("2 timeout_checker", "checked", "1 application_checker"),
        *("2 timeout_checker", "1 application_checker"),
    ], ran.stderr
    assert "The time limits of <__main__.Broken object" in ran.stderr
    assert "Applications could not be checked" in ran.stderr
