"""What the commands that show something have in common: `--json`, `--watch`, colours."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.sharded_layer import sharded_layer
from shardlayer import ShardLayerError

WATCH_INTERVAL = 2.0  # seconds
MIN_WATCH_INTERVAL = 0.5

HOME_AND_CLEAR = "\x1b[H\x1b[2J"

JSON_OPTIONS = orjson.OPT_NON_STR_KEYS


def seconds(text: str) -> float:
    """Return an interval of `--watch`."""
    number = float(text)
    if not number >= MIN_WATCH_INTERVAL:
        raise argparse.ArgumentTypeError(f"must be at least {MIN_WATCH_INTERVAL:g} seconds")
    return number


class LookingCommand(BaseCommand):
    """Shows something once, or again and again.

    A subclass says what (`look`), and how (`lines`, `why_unknown`).
    """

    json_help = "All of it as one line of JSON."
    requires_system_checks: list[str] = []  # they would ask Redis what this finds out anyway

    def add_arguments(self, parser: CommandParser) -> None:
        """Take in which form, and how often."""
        parser.add_argument("--json", action="store_true", help=self.json_help)
        parser.add_argument(
            "--watch",
            type=seconds,
            nargs="?",
            const=WATCH_INTERVAL,
            metavar="SECONDS",
            help=f"Repeat until Ctrl-C (default: every {WATCH_INTERVAL:g} s).",
        )

    def handle(self, *args: Any, json: bool, watch: float | None, **options: Any) -> None:
        """Show it; fails after that if it is unknown."""
        try:
            why = self._show(json=json, clears=bool(watch), **options)
            while watch:
                time.sleep(watch)
                why = self._show(json=json, clears=True, **options)
        except KeyboardInterrupt:
            return
        except (ValueError, ShardLayerError) as error:
            raise CommandError(str(error)) from error
        finally:
            async_to_sync(_close)()
        if why:
            raise CommandError(why)

    def _show(self, *, json: bool, clears: bool, **options: Any) -> str:
        found = self.look(**options)
        why = self.why_unknown(found)
        if json:
            for line in self.json_lines(found):
                self.stdout.write(orjson.dumps(line, option=JSON_OPTIONS).decode())
        else:
            # In one piece, so that nothing flickers.
            text = "\n".join(self.lines(found))
            if clears and self.stdout.isatty():
                text = HOME_AND_CLEAR + text
            if text:
                self.stdout.write(text)
            if clears and why:
                self.stdout.write(self.style.ERROR(why))
        self.stdout.flush()
        if said := self.remark(found):
            self.stderr.write(said)
        return why

    def look(self, **options: Any) -> Any:
        """Return what is to be shown."""
        raise NotImplementedError

    def json_lines(self, found: Any) -> Iterator[object]:
        """Yield what is a line of JSON each: all of it as one."""
        yield found

    def remark(self, found: Any) -> str:
        """Return what is to be said of it on standard error; empty: nothing."""
        return ""

    def lines(self, found: Any) -> Iterator[str]:
        """Yield it as lines."""
        raise NotImplementedError

    def why_unknown(self, found: Any) -> str:
        """Return why what is shown is not all, in a sentence; empty if it is."""
        return ""


def not_answering(silent: Mapping[str, str]) -> str:
    """Return which servers did not answer, and why, as a sentence; empty if all did."""
    return "; ".join(f"{server} does not answer: {why}" for server, why in silent.items())


async def _close() -> None:
    await sharded_layer().close()
