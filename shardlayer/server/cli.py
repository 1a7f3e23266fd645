"""The command line: Daphne's, with two more options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

from daphne.cli import CommandLineInterface as DaphneCommandLine

from shardlayer.server.garbage import GC_THRESHOLD, spare_collections
from shardlayer.server.server import Server
from shardlayer.server.sink import CLIENT_BUFFER_LIMIT


class CommandLineInterface(DaphneCommandLine):  # type: ignore[misc]
    """`shardlayer-daphne`: takes each option of `daphne`, which it documents with --help."""

    description = "Django HTTP/WebSocket server (Daphne with Shardlayer's WebSocket half)"

    def __init__(self) -> None:
        super().__init__()
        self.parser.add_argument(
            "--client-buffer-limit",
            type=_positive,
            metavar="BYTES",
            help="How much may wait for one WebSocket client before it is closed with code 4008 "
            "(default: %(default)s bytes)",
            default=CLIENT_BUFFER_LIMIT,
        )
        self.parser.add_argument(
            "--gc-threshold",
            type=_not_negative,
            metavar="OBJECTS",
            help="How many more objects there must be for Python's garbage collector to run, once "
            "the application is loaded; 0 leaves the collector alone (default: %(default)s)",
            default=GC_THRESHOLD,
        )

    def run(self, args: Sequence[str]) -> None:
        """Decode the arguments and serve until a signal ends it."""
        options = self.parser.parse_args(args)
        self.server_class = partial(Server, client_buffer_limit=options.client_buffer_limit)
        self._gc_threshold: int = options.gc_threshold
        super().run(args)

    def load_asgi_app(self, asgi_app_path: str) -> Any:
        """Import the application; what that made is there to stay."""
        application = super().load_asgi_app(asgi_app_path)
        # Before the server listens: it takes a tenth of a second.
        spare_collections(self._gc_threshold)
        return application


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _not_negative(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def main() -> None:
    """Serve an ASGI application: the entry point of `shardlayer-daphne`."""
    CommandLineInterface.entrypoint()
