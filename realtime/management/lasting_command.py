"""What the commands have in common that run until they are stopped: their log is all they say.

Django's commands print what their system checks find, and their last error, as plain text. Where
the log goes to this process's output as JSON, a reader of it could not read those lines. So they
are lines of the log there.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

from django.core import checks
from django.core.management.base import BaseCommand, CommandError, SystemCheckError

from realtime.management.settings_errors import settings_errors
from shardlayer import JsonFormatter

logger = logging.getLogger(__name__)


class LastingCommand(BaseCommand):
    """Runs until it is stopped."""

    _is_program = False

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as a program, which nobody calls who would catch an error."""
        self._is_program = True
        with settings_errors(self):
            super().run_from_argv(argv)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run; a program whose log is JSON tells its last error there."""
        is_told = self._is_program and logs_json()
        if is_told:
            logging.captureWarnings(True)
        try:
            return super().execute(*args, **options)
        except CommandError as error:
            if not is_told or options.get("traceback"):
                raise
            if not isinstance(error, SystemCheckError):  # whose messages are told already
                logger.error("%s", error)
            sys.exit(error.returncode)

    def check(self, *args: Any, **options: Any) -> None:
        """Do the system checks; with a log of JSON each message is a line of it.

        Raises:
            SystemCheckError: One says that something is wrong.
        """
        if not logs_json():
            super().check(*args, **options)
            return
        found = [
            message
            for message in checks.run_checks(databases=options.get("databases"))
            if not message.is_silenced()
        ]
        for message in found:
            hint = f" {message.hint}" if message.hint else ""
            logger.log(message.level, "%s%s (%s)", message.msg, hint, message.id)
        if any(message.is_serious() for message in found):
            raise SystemCheckError("The system checks found errors.")


def logs_json() -> bool:
    """Tell whether the log goes to this process's output as our lines of JSON."""
    return any(
        isinstance(handler.formatter, JsonFormatter)
        and getattr(handler, "stream", None) in (sys.stderr, sys.stdout)
        for handler in _handlers(logger)
    )


def _handlers(begin: logging.Logger) -> Iterator[logging.Handler]:
    each: logging.Logger | None = begin
    while each is not None:
        yield from each.handlers
        each = each.parent if each.propagate else None
