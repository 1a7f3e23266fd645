"""Reads a Procfile: `name: command` lines, as honcho reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from demo.devserver.errors import DevServerError

MAX_WORKERS = 9  # as many as there are ports between PORT and Redis's
WORKERS = "WORKERS"  # the variable that says how many workers there are to be

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")
FIRST_WORKER = "worker-1"
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


def read_procfile(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the parts of ./Procfile, with as many workers as WORKERS says if it says so.

    Under honcho it does not count: honcho starts the lines that there are.

    Raises:
        DevServerError: WORKERS is no number from 1 to MAX_WORKERS.
        ValueError: A name appears twice.
    """
    commands = parse_procfile(Path("Procfile").read_text())
    if not environ.get(WORKERS) or environ.get("HONCHO_PROCESS_NAME"):
        return commands
    return with_workers(commands, environ[WORKERS])


def with_workers(commands: Mapping[str, str], count: str) -> dict[str, str]:
    """Return the parts with so many workers, those without a line of their own as worker-1 has it.

    They stand where worker-1 stands.
    """
    if not (count.isdecimal() and 1 <= int(count) <= MAX_WORKERS):
        raise DevServerError(f"WORKERS={count} must be 1 to {MAX_WORKERS}.")
    made: dict[str, str] = {}
    for name, command in commands.items():
        if name == FIRST_WORKER:
            names = [f"worker-{number}" for number in range(1, int(count) + 1)]
            pattern = re.compile(rf"\b{FIRST_WORKER}\b")
            made |= {each: commands.get(each, pattern.sub(each, command)) for each in names}
        elif worker_number(name) is None:
            made[name] = command
    return made


def worker_number(name: str) -> int | None:
    """Return 2 for `worker-2`, None for a part that is no worker."""
    match = _WORKER.match(name)
    return int(match.group(1)) if match else None
