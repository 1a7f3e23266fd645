"""Whether events are told."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import logging, logging.config
{before}
from shardlayer.core.events import events_are_told
print(events_are_told())
{after}
print(events_are_told())
"""
ROOT = "logging.basicConfig(level=logging.INFO)"  # as Daphne does
OWN = (
    'logging.config.dictConfig({"version": 1, "loggers": {"shardlayer.events": {"level": "INFO"}}})'
)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (ROOT, "", ["False", "False"]),
        (ROOT, OWN, ["False", "True"]),
        (OWN, ROOT, ["True", "True"]),
    ],
)
def test_only_who_asks_for_events_is_told(before: str, after: str, told: list[str]) -> None:
    """Whichever comes first, the logger's own level or the module."""
    program = PROGRAM.format(before=before, after=after)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == told
