"""What a check finds: a level, a sentence, and how to mend it. Values, without I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # it works, and something may go wrong one day
    FAULT = "fault"  # something does not work


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a check has to say.

    Attributes:
        level: How bad it is.
        text: What is so, in one line.
        hint: How to mend it, in one line; empty where there is nothing to mend.
    """

    level: Level
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """What whoever runs the checks wants to know.

    Attributes:
        timeout: Seconds that one answer of a server may take.
        origin: Of a page, such as `https://shop.example`, that is to be able to connect; or empty.
    """

    timeout: float
    origin: str = ""


Check = Callable[[CheckRequest], Iterable[Finding]]
"""Looks at one thing. Runs in a thread of its own, and may take its time.

What it yields before it is given up is shown.
"""


def ok(text: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(level=Level.OK, text=text)


def warning(text: str, hint: str) -> Finding:
    """Return that something works, and may go wrong one day."""
    return Finding(level=Level.WARNING, text=text, hint=hint)


def fault(text: str, hint: str) -> Finding:
    """Return that something does not work."""
    return Finding(level=Level.FAULT, text=text, hint=hint)
