"""What management commands print."""

from __future__ import annotations

from io import StringIO
from typing import Any

from django.core.management import call_command


def lines_of(command: str, *arguments: str, **options: Any) -> list[str]:
    """Run a command in this process and return the lines of its standard output."""
    out = StringIO()
    call_command(command, *arguments, stdout=out, **options)
    return out.getvalue().splitlines()
