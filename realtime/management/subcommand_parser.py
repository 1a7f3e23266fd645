"""The parser of a subcommand: it takes Django's own options too, wherever they stand."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandParser
from django.utils.version import get_version

# Not given, they leave alone what stands before the subcommand.
_DJANGOS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("-v", "--verbosity"), {"type": int, "choices": (0, 1, 2, 3)}),
    (("--settings",), {}),
    (("--pythonpath",), {}),
    (("--traceback",), {"action": "store_true"}),
    (("--no-color",), {"action": "store_true"}),
    (("--force-color",), {"action": "store_true"}),
    (("--skip-checks",), {"action": "store_true"}),
)


class SubcommandParser(CommandParser):
    """Takes the options that every command of Django takes; its help does not list them.

    The parsers of a subcommand's own subcommands are of this class again, as argparse has it.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.add_argument(
            "--version", action="version", version=get_version(), help=argparse.SUPPRESS
        )
        for names, how in _DJANGOS:
            self.add_argument(*names, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **how)
