"""Settings that can't be, as one line of a program instead of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand

from shardlayer import ConfigurationError


@contextmanager
def settings_errors(command: BaseCommand) -> Iterator[None]:
    """End the process with 1 and a line where the settings name what can't be."""
    try:
        yield
    except (ImproperlyConfigured, ConfigurationError) as error:
        command.stderr.write(f"CommandError: {error}")
        sys.exit(1)
