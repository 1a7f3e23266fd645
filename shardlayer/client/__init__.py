"""A client in Python: follow rooms of a server and publish, without Django's settings.

docs/python-client.md says how to use it. It speaks docs/protocol.md and needs `websockets`, which
`pip install shardlayer[client]` brings.
"""

from shardlayer.client.client_error import RoomClientError
from shardlayer.client.followed_room import RoomGap, RoomMessage
from shardlayer.client.room_client import RoomClient
from shardlayer.client.room_subscription import RoomSubscription
from shardlayer.core.types import BEGINNING, Position

__all__ = [
    "BEGINNING",
    "Position",
    "RoomClient",
    "RoomClientError",
    "RoomGap",
    "RoomMessage",
    "RoomSubscription",
]
