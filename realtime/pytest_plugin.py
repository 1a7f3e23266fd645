"""The pytest plugin: the fixture `realtime`. pytest finds it where the wheel is installed.

It imports nothing of Django until a test asks for the fixture, so that settings may come later, and
projects without `realtime` notice nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from realtime.testing import MemoryRooms


@pytest.fixture
def realtime() -> Iterator[MemoryRooms]:
    """Rooms in memory, empty for each test: see docs/testing.md."""
    from realtime.testing import memory_rooms

    with memory_rooms() as rooms:
        yield rooms
