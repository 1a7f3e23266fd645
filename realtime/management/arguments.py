"""Kinds of arguments that several commands take."""

from __future__ import annotations

import argparse


def count(text: str) -> int:
    """Return a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
