"""`shardlayer-daphne`, or `python -m shardlayer.server`: the command, if its extra is installed."""

from __future__ import annotations

import sys

EXTRA = frozenset({"daphne", "twisted", "autobahn", "websockets"})  # packages of the extra `server`


def main() -> None:
    """Serve an ASGI application.

    Ends with one line where the extra `server` is not installed.
    """
    try:
        from shardlayer.server.cli import main as serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        sys.exit(
            f"shardlayer-daphne: {error.name} is not installed: pip install 'shardlayer[server]'"
        )
    serve()


if __name__ == "__main__":
    main()
