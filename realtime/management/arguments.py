"""Arguments that several commands take."""

from __future__ import annotations

import argparse
import sys

import orjson
from django.core.management.base import CommandError, CommandParser


def count(text: str) -> int:
    """Return a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def add_json(parser: CommandParser) -> None:
    """Take `data`, which `read_json` reads."""
    parser.add_argument("data", metavar="JSON", help='The data; "-" reads standard input.')


def read_json(data: str) -> orjson.Fragment:
    """Return the JSON as it was given, for `realtime.json_values.encode`.

    Raises:
        CommandError: It is none.
    """
    text = sys.stdin.read() if data == "-" else data
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise CommandError(f"Not JSON: {error}.") from error
    return orjson.Fragment(text.strip())
