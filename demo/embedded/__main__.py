"""`python -m demo.embedded redis|kafka`: one embedded server in the foreground.

It lives until SIGTERM or Ctrl-C, and ends with code 1 when the server ends by itself. Redis
wants the password that is in DIRECTORY/password.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from demo.embedded import EmbeddedServer, EmbeddedServerError, EmbeddedTansu, EmbeddedValkey
from demo.embedded.private import password_of


def main(arguments: list[str] | None = None) -> int:
    """Run the server that the arguments name and return the exit code."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    server = _server(options)
    try:
        with server:
            print(f"{server.name} listens on {server.address}, data in {server.directory}")
            code = server.wait()
    except EmbeddedServerError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{server.name} ended by itself with code {code}.", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo.embedded", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind in ("redis", "kafka"):
        command = kinds.add_parser(kind)
        command.add_argument("--port", type=int, required=True)
        command.add_argument("--directory", type=Path, required=True, help="where its data is")
    kinds.choices["kafka"].add_argument(
        "--topic", action="append", default=[], metavar="NAME:PARTITIONS", type=_topic
    )
    return parser


def _topic(text: str) -> tuple[str, int]:
    name, separator, partitions = text.rpartition(":")
    if not separator or not partitions.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME:PARTITIONS")
    return name, int(partitions)


def _server(options: argparse.Namespace) -> EmbeddedServer:
    directory = options.directory.resolve()
    log = sys.stdout.buffer
    if options.kind == "redis":
        return EmbeddedValkey(
            directory=directory,
            port=options.port,
            log=log,
            persistent=True,
            password=password_of(directory),
        )
    return EmbeddedTansu(
        directory=directory, port=options.port, log=log, topics=dict(options.topic)
    )


if __name__ == "__main__":
    sys.exit(main())
