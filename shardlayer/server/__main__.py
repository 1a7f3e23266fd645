"""`shardlayer-daphne`, or `python -m shardlayer.server`: the command, if its extra is installed."""

from __future__ import annotations

import sys

from shardlayer.aio.garbage import no_collections
from shardlayer.core.optional_packages import MissingExtra, needs_extra


def main() -> None:
    """Serve an ASGI application.

    Ends with one line where the extra `server` is not installed.
    """
    try:
        with needs_extra("server"), no_collections():
            from shardlayer.server.cli import main as serve
    except MissingExtra as error:
        sys.exit(f"shardlayer-daphne: {error}")
    serve()


if __name__ == "__main__":
    main()
