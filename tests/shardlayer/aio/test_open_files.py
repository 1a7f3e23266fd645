"""The limit on open files."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from shardlayer.aio.open_files import BESIDES, room_for_connections

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


@pytest.mark.parametrize(
    ("limit", "room"),
    [(64, 32), (1024, 1024 - BESIDES), (65_536, 65_536 - BESIDES), (1, 1)],
)
def test_room_for_connections(limit: int, room: int) -> None:
    """Some files are left for all that is no client's, at most half of them."""
    assert room_for_connections(limit) == room
    assert room_for_connections(resource.RLIM_INFINITY) == 0
