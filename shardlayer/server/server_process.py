"""This server in a process of its own, in place of Daphne's under Daphne's and Channels' tools.

For tests of a Django project see `shardlayer.server.live`.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from typing import Any

from daphne.endpoints import build_endpoint_description_strings
from daphne.testing import DaphneProcess
from twisted.internet import asyncioreactor

# What knows the reactor that was installed when it was imported.
_OF_THE_REACTOR = ("twisted.internet.reactor", "daphne.server", "shardlayer.server.server")


class ServerProcess(DaphneProcess):  # type: ignore[misc]
    """A server in a process of its own, which tells the port that it listens on."""

    def run(self) -> None:
        """Serve until the process is terminated."""
        # A forked process can't use the reactor of its parent.
        for name in _OF_THE_REACTOR:
            sys.modules.pop(name, None)
        loop = asyncio.new_event_loop()
        asyncioreactor.install(loop)  # type: ignore[no-untyped-call]
        asyncio.set_event_loop(loop)
        try:
            self._serve()
        except BaseException as error:  # Daphne's tools raise it in the parent
            self.errors.put((error, traceback.format_exc()))

    def _serve(self) -> None:
        from twisted.internet import reactor

        from shardlayer.server.server import Server

        self.server = Server(
            application=self.get_application(),
            endpoints=build_endpoint_description_strings(host=self.host, port=self.port.value),
            signal_handlers=False,
            **{"hang_timeout": 0, **self.kwargs},  # who debugs a test makes it stand still
        )
        later: Any = reactor
        later.callLater(0.1, self.resolve_port)
        if self.setup is not None:
            self.setup()
        try:
            self.server.run()
        finally:
            if self.teardown is not None:
                self.teardown()
