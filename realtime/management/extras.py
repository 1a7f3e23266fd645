"""Commands whose packages are an extra of this distribution's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError

from shardlayer import MissingExtra, needs_extra


@contextmanager
def command_extra(name: str) -> Iterator[None]:
    """Import what needs an extra inside of this block.

    Raises:
        CommandError: A package of the extra is not installed; in one line, with what to install.
    """
    try:
        with needs_extra(name):
            yield
    except MissingExtra as error:
        raise CommandError(str(error)) from error
