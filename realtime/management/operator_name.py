"""Who runs a command, for the logs of those who do what it orders."""

from __future__ import annotations

import getpass
import socket


def operator_name() -> str:
    """Return the user and the machine: `manage.py (ada@web1)`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "somebody"
    return f"manage.py ({user}@{socket.gethostname()})"
