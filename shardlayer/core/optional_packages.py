"""Packages that an extra of this distribution brings, and what is said where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

EXTRAS = {  # extra -> packages that it brings
    "server": frozenset({"daphne", "twisted", "autobahn", "websockets"}),
    "kafka": frozenset({"aiokafka", "cramjam"}),
    "jwt": frozenset({"jwt", "cryptography"}),
}


class MissingExtra(ModuleNotFoundError):
    """A package of an extra is not installed; the message is one line, with what to install."""


@contextmanager
def needs_extra(name: str) -> Iterator[None]:
    """Import what needs an extra inside of this block.

    Raises:
        MissingExtra: A package of the extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRAS[name]:
            raise
        message = f"{error.name} is not installed: pip install 'shardlayer[{name}]'"
        raise MissingExtra(message, name=error.name) from None
