"""The WebSocket addresses."""

from realtime.admin_gate import admin_application
from realtime.clients.gateway import Gateway
from realtime.consumers import RoomConsumer

WEBSOCKET_PATH = "ws/"
ADMIN_PATH = "ws/admin/"  # of open pages of the admin

websocket_application = Gateway(
    {WEBSOCKET_PATH: RoomConsumer.as_asgi(), ADMIN_PATH: admin_application}
)
"""For the "websocket" of Channels' ProtocolTypeRouter."""
