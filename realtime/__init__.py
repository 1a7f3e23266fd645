"""Rooms for browsers. What a project calls is here:

from realtime import publish, publish_on_commit

Each name is imported when it is first asked for: Django imports this package before any model may
be.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtime.access.users import user_room
    from realtime.client_header import CLIENT_HEADER, client_of
    from realtime.client_refused import ClientRefused
    from realtime.clients.client_signals import (
        client_connected,
        client_disconnected,
        room_joined,
        room_left,
    )
    from realtime.connections import (
        adisconnect,
        adisconnect_session,
        aunsubscribe,
        disconnect,
        disconnect_session,
        unsubscribe,
    )
    from realtime.html_changes import html_change
    from realtime.live_models import live_model, publish_changes
    from realtime.live_rooms import LiveRoom, aposition, live, position
    from realtime.on_commit import apublish_on_commit, publish_on_commit
    from realtime.past import PastPublication, RoomPast, ahistory, history
    from realtime.people.asking import (
        PersonHere,
        PresenceStats,
        RoomPresence,
        apresence,
        apresence_stats,
        presence,
        presence_stats,
    )
    from realtime.people.room_signals import room_occupied, room_vacated
    from realtime.room_tokens import sign_room
    from realtime.sending import (
        aannounce,
        announce,
        apublish,
        apublish_many,
        apublish_to_user,
        publish,
        publish_many,
        publish_to_user,
    )
    from realtime.tokens import issue_token
    from shardlayer import MessageTooLarge, Position, ShardUnavailable

# No module of this package may have a name of these, or importing it would hide the function.
_PLACES = {
    "realtime.access.users": ("user_room",),
    "realtime.client_header": ("CLIENT_HEADER", "client_of"),
    "realtime.clients.client_signals": (
        "client_connected",
        "client_disconnected",
        "room_joined",
        "room_left",
    ),
    "realtime.connections": (
        "adisconnect",
        "adisconnect_session",
        "aunsubscribe",
        "disconnect",
        "disconnect_session",
        "unsubscribe",
    ),
    "realtime.html_changes": ("html_change",),
    "realtime.live_models": ("live_model", "publish_changes"),
    "realtime.live_rooms": ("LiveRoom", "aposition", "live", "position"),
    "realtime.on_commit": ("apublish_on_commit", "publish_on_commit"),
    "realtime.people.asking": (
        "PersonHere",
        "PresenceStats",
        "RoomPresence",
        "apresence",
        "apresence_stats",
        "presence",
        "presence_stats",
    ),
    "realtime.people.room_signals": ("room_occupied", "room_vacated"),
    "realtime.past": ("PastPublication", "RoomPast", "ahistory", "history"),
    "realtime.client_refused": ("ClientRefused",),
    "realtime.room_tokens": ("sign_room",),
    "realtime.sending": (
        "aannounce",
        "announce",
        "apublish",
        "apublish_many",
        "apublish_to_user",
        "publish",
        "publish_many",
        "publish_to_user",
    ),
    "realtime.tokens": ("issue_token",),
    "shardlayer": ("MessageTooLarge", "Position", "ShardUnavailable"),
}
_PLACE_OF = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "CLIENT_HEADER",
    "ClientRefused",
    "LiveRoom",
    "MessageTooLarge",
    "PastPublication",
    "PersonHere",
    "Position",
    "PresenceStats",
    "RoomPast",
    "RoomPresence",
    "ShardUnavailable",
    "aannounce",
    "adisconnect",
    "adisconnect_session",
    "ahistory",
    "announce",
    "aposition",
    "apresence",
    "apresence_stats",
    "apublish",
    "apublish_many",
    "apublish_on_commit",
    "apublish_to_user",
    "aunsubscribe",
    "client_connected",
    "client_disconnected",
    "client_of",
    "disconnect",
    "disconnect_session",
    "history",
    "html_change",
    "issue_token",
    "live",
    "live_model",
    "position",
    "presence",
    "presence_stats",
    "publish",
    "publish_changes",
    "publish_many",
    "publish_on_commit",
    "publish_to_user",
    "room_joined",
    "room_left",
    "room_occupied",
    "room_vacated",
    "sign_room",
    "unsubscribe",
    "user_room",
]


def __getattr__(name: str) -> object:
    if name not in _PLACE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_PLACE_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACE_OF})
