"""Where the demo that runs has its parts: bin/dev notes it, and settings read it.

So a management command in a shell of the project's folder reaches the demo, though nobody told the
shell its ports and passwords. The file is read by its owner alone, and counts only while the
process lives that wrote it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from demo.embedded.private import write_private

NOTE = "running.json"  # in var/
OFF = "SHARDLAYER_DEMO"  # "0" in the environment: whoever runs does not matter

# Who says any of these by themselves knows where to go, and gets nothing of the demo that runs.
PLACES = (
    *("REDIS_URL", "REDIS_SENTINELS", "REDIS_CLUSTER"),
    *("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"),
)
# What bin/dev was given itself and its parts inherit, beside what the plan says.
_INHERITED = (
    *PLACES,
    *("REDIS_PRIMARY", "REDIS_PASSWORD", "REDIS_WAIT_REPLICAS"),
    *("METRICS_DIRECTORY", "DJANGO_SECRET_KEY", "KAFKA_SESSION_TIMEOUT_MS"),
)


@contextmanager
def noted_as_running(
    folder: Path, environment: Mapping[str, str], given: Mapping[str, str]
) -> Iterator[None]:
    """Note the addresses inside of the block.

    Args:
        folder: `var`.
        environment: What all parts get.
        given: What this process was given, of which the parts inherit the rest.
    """
    shared = {name: given[name] for name in _INHERITED if given.get(name)} | dict(environment)
    pid = os.getpid()
    note = {"pid": pid, "began": _began(pid), "environment": shared}
    write_private(folder / NOTE, json.dumps(note))
    try:
        yield
    finally:
        (folder / NOTE).unlink(missing_ok=True)


def with_running_demo(environ: Mapping[str, str], folder: Path) -> Mapping[str, str]:
    """Return the environment, with what is missing of the demo that runs in this checkout.

    It is returned as it is where no demo runs, where it says itself where to go, and for
    production (`DJANGO_DEBUG=0`).
    """
    if environ.get(OFF) == "0" or environ.get("DJANGO_DEBUG", "").strip().lower() in _OFF_WORDS:
        return environ
    if any(environ.get(name) for name in PLACES):
        return environ
    return {**_running(folder / NOTE), **{name: value for name, value in environ.items() if value}}


_OFF_WORDS = ("0", "false", "no", "off")


def _running(path: Path) -> dict[str, str]:
    """Return the variables of the demo that runs; none of one that was killed."""
    try:
        note = json.loads(path.read_text())
        pid, began, shared = int(note["pid"]), note["began"], dict(note["environment"])
        os.kill(pid, 0)
    except PermissionError:  # it lives, and is somebody else's
        return {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return shared if _began(pid) == began else {}


def _began(pid: int) -> str:
    """Return what tells a process from a later one of the same number; empty where none knows.

    On Linux it is when it began, in ticks since the system did: field 22 of proc(5)'s stat.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]
