"""ASGI applications that lead WebSockets elsewhere, or nowhere: named by tests of the routing."""

from __future__ import annotations

from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import path

from realtime.consumers import RoomConsumer


class OwnConsumer(RoomConsumer):
    """A project's own, for rooms."""


plain = get_asgi_application()
without_websocket = ProtocolTypeRouter({"http": plain})
behind_middleware = ProtocolTypeRouter(
    {
        "http": plain,
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter([path("ws/", OwnConsumer.as_asgi())]))  # type: ignore[arg-type]
        ),
    }
)
of_somebody_else = ProtocolTypeRouter(
    {"websocket": URLRouter([path("ws/", WebsocketConsumer.as_asgi())])}
)


async def failing(scope: Any, receive: Any, send: Any) -> None:
    """Raise, as a middleware with a mistake does."""
    raise RuntimeError("a mistake")
