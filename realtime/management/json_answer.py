"""What commands say that do something: a sentence, or `--json`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import orjson
from django.core.management.base import BaseCommand


def add_json_answer(parser: argparse.ArgumentParser) -> None:
    """Take `json`, which `write_answer` wants."""
    parser.add_argument("--json", action="store_true", help="The answer as one line of JSON.")


def write_answer(
    command: BaseCommand, text: str, fields: Mapping[str, object], *, json: bool
) -> None:
    """Write what was done: as a text for people, or its fields as a line of JSON."""
    command.stdout.write(orjson.dumps(fields).decode() if json else text)
