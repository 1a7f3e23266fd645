"""The WebSocket addresses, for Channels' URLRouter."""

from typing import Any, cast

from django.urls import path, re_path

from realtime.consumers import RoomConsumer, refuse

WEBSOCKET_PATH = "ws/"

# Channels puts ASGI applications where Django's types know only views.
websocket_urlpatterns = [
    path(WEBSOCKET_PATH, cast(Any, RoomConsumer.as_asgi())),
    re_path(r"", cast(Any, refuse)),
]
