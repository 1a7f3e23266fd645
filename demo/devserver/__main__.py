"""`python -m demo.devserver`: what `bin/dev` becomes. Exit code 0 after Ctrl-C once ready."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from types import FrameType

from demo.devserver.errors import DevServerError
from demo.devserver.procfile import WORKERS
from demo.devserver.run import run

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asks for the end; not an Exception, so that nothing on the way catches it."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in STOP_SIGNALS:  # the end takes its (bounded) time; more signals do not hurry it
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted


def main() -> int:
    """Run everything until a signal; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="bin/dev",
        description="Start the whole demo; Ctrl-C stops it.",
        epilog="It is set by the environment as well: PORT, WORKERS, REDIS_URL, "
        "KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL. See README.md.",
    )
    parser.add_argument(
        "--workers", metavar="N", help="How many workers stand behind the one port (default: 2)."
    )
    workers = parser.parse_args().workers
    environ = {**os.environ, WORKERS: workers} if workers else os.environ
    for each in STOP_SIGNALS:
        signal.signal(each, _interrupt)
    try:
        run(environ)
    except Interrupted:
        return 0
    except DevServerError as error:
        print(f"bin/dev: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
