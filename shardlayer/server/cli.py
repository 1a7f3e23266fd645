"""The command line: Daphne's, with one more option."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from daphne.cli import CommandLineInterface as DaphneCommandLine

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

    def run(self, args: Sequence[str]) -> None:
        """Decode the arguments and serve until a signal ends it."""
        options = self.parser.parse_args(args)
        self.server_class = partial(Server, client_buffer_limit=options.client_buffer_limit)
        super().run(args)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def main() -> None:
    """Serve an ASGI application: the entry point of `shardlayer-daphne`."""
    CommandLineInterface.entrypoint()
