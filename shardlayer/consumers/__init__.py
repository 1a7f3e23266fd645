"""Drop-in bases for Channels consumers, at a fraction of the cost per message.

    from shardlayer.consumers import AsyncJsonWebsocketConsumer

in place of `channels.generic.websocket`. They are subclasses of Channels' classes of the same
names and behave as those do, on any channel layer and any server. What they leave out per message
is three tasks, an `asyncio.wait` and a hop to a thread and back; see docs/consumers.md.
"""

from shardlayer.consumers.async_consumer import AsyncConsumer
from shardlayer.consumers.database import OldConnections
from shardlayer.consumers.websocket_consumers import (
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketConsumer,
)

__all__ = [
    "AsyncConsumer",
    "AsyncJsonWebsocketConsumer",
    "AsyncWebsocketConsumer",
    "OldConnections",
]
