"""The code of docs/server.md does in a running server what the page says."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from websockets.sync.client import connect

from tests.server.process import ServerProcess
from tests.waiting import PATIENCE


def test_pieces_work_in_an_application(tmp_path: Path) -> None:
    """A sink is written to, a response waits for its client, and a stop has a last word."""
    with ServerProcess(
        tmp_path,
        *("-b", "127.0.0.1", "-p", "0"),
        application="tests.docs.server_page_application:application",
    ) as server:
        assert not isinstance(server.address, str)
        with connect("ws://{}:{}/".format(*server.address), proxy=None) as client:
            assert client.recv(PATIENCE) == '{"text":"hello"}'
            assert server.get("/") == b"a part"
            os.kill(server.process.pid, signal.SIGTERM)
            assert str(client.recv(PATIENCE)).startswith('{"come_back_in":')
    assert "Traceback" not in server.log
