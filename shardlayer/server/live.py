"""A live server for the tests of a Django project, with a browser for example.

Importing this module needs Django's settings, as importing Channels' tools does, and the extra
`server`.
"""

from __future__ import annotations

from shardlayer.core.optional_packages import needs_extra

with needs_extra("server"):
    from channels.testing import ChannelsLiveServerTestCase

    from shardlayer.server.server_process import ServerProcess


class LiveServerTestCase(ChannelsLiveServerTestCase):  # type: ignore[misc]
    """Channels' `ChannelsLiveServerTestCase` on this server.

    It serves the project in a process of its own, at `live_server_url` and `live_server_ws_url`.
    """

    ProtocolServerProcess = ServerProcess
