"""Reads a Procfile: `name: command` lines, as honcho reads them."""

from __future__ import annotations

import re

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")
_WORKER = re.compile(r"^worker-(\d+)$")


def parse_procfile(text: str) -> dict[str, str]:
    """Return name -> command in the file's order; other lines are comments.

    Raises:
        ValueError: A name appears twice.
    """
    commands: dict[str, str] = {}
    for line in text.splitlines():
        if match := _LINE.match(line):
            name, command = match.groups()
            if name in commands:
                raise ValueError(f"Procfile: {name} appears twice.")
            commands[name] = command.strip()
    return commands


def worker_number(name: str) -> int | None:
    """Return 2 for `worker-2`, None for a part that is no worker."""
    match = _WORKER.match(name)
    return int(match.group(1)) if match else None
