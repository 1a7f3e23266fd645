"""The WebSocket addresses."""

from realtime.clients.gateway import Gateway
from realtime.consumers import RoomConsumer

WEBSOCKET_PATH = "ws/"

websocket_application = Gateway({WEBSOCKET_PATH: RoomConsumer.as_asgi()})
"""For the "websocket" of Channels' ProtocolTypeRouter."""
