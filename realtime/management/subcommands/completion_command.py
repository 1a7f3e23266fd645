"""`manage.py realtime completion`: has the shell complete subcommands and their options.

Django's own completion knows commands and their options, but nothing of subcommands.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from django.core.management.base import BaseCommand

from realtime.management.subcommand_parser import SubcommandParser
from realtime.management.subcommands.registry import SUBCOMMANDS, subcommand

SCRIPT = "completion.bash"


class CompletionCommand(BaseCommand):
    """Asks nobody."""

    help = "Print the completion for bash: source <(python manage.py realtime completion)."
    uses_layer = False

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        text = files("realtime.management").joinpath(SCRIPT).read_text()
        lines = [f'    "{place}") echo "{" ".join(words)}" ;;' for place, words in _words()]
        self.stdout.write(text.replace("@WORDS@", "\n".join(lines)), ending="")


def _words() -> Iterator[tuple[str, list[str]]]:
    """Yield what may follow `realtime`, each of its subcommands, and each of theirs."""
    yield "", sorted(SUBCOMMANDS)
    for name in SUBCOMMANDS:
        command = subcommand(name)()
        parser = SubcommandParser()
        command.add_arguments(parser)
        completions: tuple[str, ...] = getattr(command, "completions", ())
        yield name, [*parser.words(), *completions]
        for inner, its in parser.inner().items():
            yield f"{name} {inner}", its.words()
