"""Twisted's endpoint strings, with the length of the queue for new connections.

Twisted's own default is 50. After a restart, more clients than that connect between two turns of
the event loop. The kernel then drops their packets, and they try again a second later.
"""

from __future__ import annotations

import re

BACKLOG = 1024  # connections that may wait to be accepted; the kernel has a limit of its own

_split = re.compile(r"(?<!\\):").split
_HAVE_BACKLOG = frozenset({"tcp", "tcp6", "ssl", "unix"})
_WRAPPERS = frozenset({"haproxy"})  # pass what follows on to the endpoint within
_FEW_POSITIONAL = 2  # more may be a backlog without its name


def with_backlog(endpoint: str, backlog: int) -> str:
    """Return an endpoint string that names the backlog; unchanged if it does, or can't."""
    kind, *arguments = _split(endpoint)
    while kind in _WRAPPERS and arguments:
        kind, *arguments = arguments
    positional = [argument for argument in arguments if "=" not in argument]
    if (
        kind not in _HAVE_BACKLOG
        or len(positional) > _FEW_POSITIONAL
        or any(argument.startswith("backlog=") for argument in arguments)
    ):
        return endpoint
    return f"{endpoint}:backlog={backlog}"
