"""One consumer, on the base class that the environment names; see docs/consumers.md."""

from __future__ import annotations

import os
from typing import Any

import django
from channels.routing import ProtocolTypeRouter

from benchmarks.layer.chat.peers import BASE
from benchmarks.peers.base import ROOM
from benchmarks.references import resolve

django.setup()

Base: Any = resolve(os.environ[BASE])


class ChatConsumer(Base):  # type: ignore[misc]
    groups = [f"chat_{ROOM}"]

    async def receive_json(self, content: dict[str, Any]) -> None:
        await self.channel_layer.group_send(
            self.groups[0], {"type": "chat.message", "message": content["message"]}
        )

    async def chat_message(self, event: dict[str, Any]) -> None:
        await self.send_json({"message": event["message"]})


application = ProtocolTypeRouter({"websocket": ChatConsumer.as_asgi()})
