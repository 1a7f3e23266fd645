"""Who is in which rooms: asked, told to clients, and told to the project by signals.

from realtime.presence import apresence, presence, room_occupied, room_vacated
"""

from realtime.presence.asking import (
    PersonHere,
    PresenceStats,
    RoomPresence,
    apresence,
    apresence_stats,
    presence,
    presence_stats,
)
from realtime.presence.room_signals import room_occupied, room_vacated

__all__ = [
    "PersonHere",
    "PresenceStats",
    "RoomPresence",
    "apresence",
    "apresence_stats",
    "presence",
    "presence_stats",
    "room_occupied",
    "room_vacated",
]
