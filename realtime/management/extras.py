"""Commands whose packages are an extra of this distribution's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError

EXTRAS = {"kafka": frozenset({"aiokafka", "cramjam"})}  # extra -> packages that it brings


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import what needs an extra inside of this block.

    Raises:
        CommandError: A package of the extra is not installed; in one line, with what to install.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRAS[name]:
            raise
        raise CommandError(
            f"{error.name} is not installed: pip install 'shardlayer[{name}]'"
        ) from error
