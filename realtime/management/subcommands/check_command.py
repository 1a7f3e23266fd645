"""`manage.py realtime check`: whether everything is there that a deployment needs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.checkup.finding import CheckRequest, Finding, Level
from realtime.checkup.known_checks import CHECKS, known_check
from realtime.checkup.running_checks import run_checks, worst
from realtime.conf import Conf, conf

DEADLINE = 10.0  # seconds for each check, all at the same time
NAMES = {Level.OK: "ok", Level.WARNING: "WARNING", Level.FAULT: "FAULT"}

_NAME_WIDTH = max(map(len, NAMES.values()))
_CHECK_WIDTH = max(map(len, CHECKS))


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number <= 600:
        raise argparse.ArgumentTypeError("must be more than 0 and at most 600 seconds")
    return number


class CheckCommand(BaseCommand):
    """Ends with 1 if something is wrong; a warning is not, unless `--strict`."""

    help = (
        "Check settings, Redis, Kafka, routing, origins, static files and limits; say what is "
        "wrong and how to fix it."
    )
    uses_layer = False  # of a layer in memory it speaks itself
    completions = tuple(CHECKS)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to look at, and in which form to show it."""
        parser.add_argument(
            "checks",
            nargs="*",
            metavar="CHECK",
            help=f"Do only these checks: {', '.join(CHECKS)}.",
        )
        parser.add_argument("--json", action="store_true", help="All of it as one line of JSON.")
        parser.add_argument(
            "--strict", action="store_true", help="Exit with code 1 after a warning, too."
        )
        parser.add_argument(
            "--origin",
            default="",
            metavar="ORIGIN",
            help="Check whether pages of this origin may connect, such as https://shop.example.",
        )
        parser.add_argument(
            "--timeout",
            type=_seconds,
            default=DEADLINE,
            metavar="SECONDS",
            help="How long a check may take; all run at the same time (default: %(default)g).",
        )

    def handle(
        self,
        *args: Any,
        checks: list[str],
        json: bool,
        strict: bool,
        origin: str,
        timeout: float,
        **options: Any,
    ) -> None:
        """Look, and show what was found."""
        for name in checks:
            if name not in CHECKS:
                raise CommandError(f"There is no check {name!r}; there are {', '.join(CHECKS)}.")
        asked = CheckRequest(timeout=min(_answer_timeout(), timeout), origin=origin)
        names = [name for name in CHECKS if not checks or name in checks]
        found = run_checks({name: known_check(name) for name in names}, asked, deadline=timeout)
        if json:
            self.stdout.write(orjson.dumps(_as_json(found)).decode())
        else:
            for line in self._lines(found):
                self.stdout.write(line)
        self.stdout.flush()
        everything = [each for findings in found.values() for each in findings]
        if (level := worst(everything)) is Level.FAULT or (strict and level is Level.WARNING):
            raise CommandError(_summary(everything))

    def _lines(self, found: Mapping[str, list[Finding]]) -> Iterator[str]:
        styles = {
            Level.OK: self.style.SUCCESS,
            Level.WARNING: self.style.WARNING,
            Level.FAULT: self.style.ERROR,
        }
        for name, findings in found.items():
            for each in findings:
                level = styles[each.level](f"{NAMES[each.level]:<{_NAME_WIDTH}}")
                yield f"{level}  {name:<{_CHECK_WIDTH}}  {each.text}"
                if each.hint:
                    yield f"{'':<{_NAME_WIDTH + _CHECK_WIDTH + 4}}-> {each.hint}"


def _answer_timeout() -> float:
    """Return how many seconds a server may take; the default where the settings are wrong."""
    try:
        return conf().check_timeout
    except Exception:  # which check_settings says
        return Conf().check_timeout


def _as_json(found: Mapping[str, list[Finding]]) -> dict[str, object]:
    everything = [each for findings in found.values() for each in findings]
    return {
        "level": worst(everything),
        "findings": [
            {"check": name, "level": each.level, "text": each.text, "hint": each.hint}
            for name, findings in found.items()
            for each in findings
        ],
    }


def _summary(findings: list[Finding]) -> str:
    faults = sum(each.level is Level.FAULT for each in findings)
    warnings = sum(each.level is Level.WARNING for each in findings)
    return f"Faults: {faults}. Warnings: {warnings}."
