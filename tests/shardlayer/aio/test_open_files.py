"""The limit on open files."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource
from shardlayer.aio.open_files import raise_file_limit

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
print(raise_file_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 64)
"""


def test_soft_limit_is_raised() -> None:
    """A process may have as many open files as the system lets it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "True\n"
