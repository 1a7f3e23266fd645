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
        self._actions_of_its_own: list[argparse.Action] = []
        super().__init__(**arguments)
        self.add_argument(
            "--version", action="version", version=get_version(), help=argparse.SUPPRESS
        )
        for names, how in _DJANGOS:
            self.add_argument(*names, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **how)

    def add_argument(self, *names: Any, **how: Any) -> argparse.Action:
        """Take an argument, and remember it for the completion of shells."""
        action = super().add_argument(*names, **how)
        self._actions_of_its_own.append(action)
        return action

    def add_subparsers(self, **how: Any) -> Any:
        """Have subcommands of its own, and remember them."""
        action = super().add_subparsers(**how)
        self._actions_of_its_own.append(action)
        return action

    def words(self) -> list[str]:
        """Return what may be written next: its subcommands, choices and options."""
        found = []
        for action in self._actions_of_its_own:
            if action.option_strings:
                if action.help is not argparse.SUPPRESS:
                    found.append(max(action.option_strings, key=len))
            elif action.choices:
                found += map(str, action.choices)
        return found

    def inner(self) -> dict[str, SubcommandParser]:
        """Return the parsers of its own subcommands, by name."""
        return {
            name: parser
            for action in self._actions_of_its_own
            if isinstance(action.choices, dict)
            for name, parser in action.choices.items()
        }
