"""The WebSocket consumers that applications subclass."""

from __future__ import annotations

from typing import Any

from channels.exceptions import InvalidChannelLayerError, StopConsumer
from channels.generic import websocket

from shardlayer.consumers import json_text
from shardlayer.consumers.async_consumer import AsyncConsumer, Message
from shardlayer.consumers.database import a_connection_is_due


class AsyncWebsocketConsumer(AsyncConsumer, websocket.AsyncWebsocketConsumer):  # type: ignore[misc]
    """Channels' AsyncWebsocketConsumer on the lean receive loop."""

    async def websocket_disconnect(self, message: Message) -> None:
        """Leave the groups, call `disconnect` and end the consumer.

        Raises:
            InvalidChannelLayerError: If there are groups, but no layer that supports them.
            StopConsumer: When done.
        """
        try:
            for group in self.groups:
                await self.channel_layer.group_discard(group, self.channel_name)
        except AttributeError as error:
            raise InvalidChannelLayerError(
                "BACKEND is unconfigured or doesn't support groups"
            ) from error
        await self.disconnect(message["code"])
        if a_connection_is_due(self._database_thread):
            await self._close_old_connections()
        raise StopConsumer


class AsyncJsonWebsocketConsumer(
    AsyncWebsocketConsumer,
    websocket.AsyncJsonWebsocketConsumer,  # type: ignore[misc]
):
    """Channels' AsyncJsonWebsocketConsumer on the lean receive loop, with orjson.

    Override `encode_json` and `decode_json` as in Channels, for instance to write datetimes.
    """

    @classmethod
    async def decode_json(cls, text_data: str) -> Any:
        """Return the value of a client's JSON text."""
        return json_text.loads(text_data)

    @classmethod
    async def encode_json(cls, content: Any) -> str:
        """Return a value as JSON text for the client."""
        return json_text.dumps(content)
