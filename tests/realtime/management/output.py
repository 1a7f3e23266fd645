"""What management commands print."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Mapping
from io import StringIO
from typing import Any

from django.core.management import call_command

from tests.realtime.process import ROOT, manage
from tests.waiting import PATIENCE


def lines_of(command: str, *arguments: str, **options: Any) -> list[str]:
    """Run a command in this process and return the lines of its standard output."""
    out = StringIO()
    call_command(command, *arguments, stdout=out, **options)
    return out.getvalue().splitlines()


def on_terminal(*arguments: str, environ: Mapping[str, str]) -> str:
    """Run a command as a process on a terminal, to its end, and return what it wrote there.

    Args:
        arguments: Those of `manage.py`.
        environ: Variables beside PATH; nothing else is inherited.
    """
    master, slave = pty.openpty()
    command = subprocess.Popen(
        manage(*arguments),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", **environ},
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    written = b""
    try:
        while part := os.read(master, 65_536):
            written += part
    except OSError:  # how Linux says that nobody has the terminal any more
        pass
    finally:
        os.close(master)
        command.wait(PATIENCE)
    assert command.returncode == 0, written
    return written.decode()
