"""What the tests of a project need: docs/testing.md.

from realtime.testing import RealtimeCommunicator, captured_publications, memory_rooms
"""

from realtime.testing.memory_rooms import (
    CapturedPublication,
    MemoryRooms,
    captured_publications,
    memory_rooms,
)
from realtime.testing.realtime_communicator import CommandFailed, RealtimeCommunicator

__all__ = [
    "CapturedPublication",
    "CommandFailed",
    "MemoryRooms",
    "RealtimeCommunicator",
    "captured_publications",
    "memory_rooms",
]
