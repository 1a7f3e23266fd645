"""The tests of that project; not collected by pytest."""

import json

from websockets.sync.client import connect

from shardlayer.server.live import LiveServerTestCase
from tests.waiting import PATIENCE


class TestLive(LiveServerTestCase):
    """A live server for all tests of the class."""

    serve_static = False

    def test_websocket(self) -> None:
        """The server is this one, and uses the tests' database."""
        for _ in range(2):
            with connect(self.live_server_ws_url, proxy=None) as client:
                told = json.loads(client.recv(timeout=PATIENCE))
            assert told["database"].endswith("test.sqlite3")
            assert "shardlayer" in told["extensions"]
