"""An application whose requests leave errors that only Twisted catches."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import fail
from twisted.python import log as _log

reactor: Any = _reactor
log: Any = _log


def forgotten() -> None:
    """Raise in a timer."""
    raise ZeroDivisionError("a timer's")


def forgotten_too() -> None:
    """Raise the same elsewhere."""
    raise ZeroDivisionError("another timer's")


class Protocol:
    """Raises when there is something to read."""

    def __init__(self) -> None:
        self._read, write = os.pipe()
        os.write(write, b"something")
        os.close(write)

    def fileno(self) -> int:
        """Return where it reads."""
        return self._read

    def doRead(self) -> None:  # noqa: N802
        """Raise."""
        raise KeyError("a protocol's")

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        """Close."""
        os.close(self._read)


def log_as_of_old() -> None:
    """Log as Twisted's older modules do."""
    try:
        raise BufferError("an older module's")
    except BufferError:
        log.err(None, "as of old")


PATHS: dict[str, Callable[[], object]] = {
    "/timer": lambda: reactor.callLater(0, forgotten),
    "/other-timer": lambda: reactor.callLater(0, forgotten_too),
    "/protocol": lambda: reactor.addReader(Protocol()),
    "/deferred": lambda: fail(LookupError("a Deferred's")),
    "/old": log_as_of_old,
    "/other": lambda: log.err(ValueError("of another kind")),
    "/news": lambda: [log.msg("no error"), log.msg("of a level that is none", logLevel=12345)],
}


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Do what the path says, and answer."""
    assert scope["type"] == "http"  # it has no lifespan
    PATHS[scope["path"]]()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"done"})
