"""The chat of the Channels tutorial, with the session and origin middleware that it has there.

It lets in only those who are signed in, as a project does that has users.
"""

from __future__ import annotations

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path

from benchmarks.peers.stock.app import ChatConsumer


class MembersConsumer(ChatConsumer):
    """Refuses strangers."""

    async def connect(self) -> None:
        if self.scope["user"].is_authenticated:
            await super().connect()
        else:
            await self.close()


_CHAT = [path("ws/chat/<str:room_name>/", MembersConsumer.as_asgi())]

application = ProtocolTypeRouter(
    {"websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(_CHAT)))}
)
