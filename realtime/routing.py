"""The WebSocket addresses."""

from realtime.consumers import RoomConsumer
from realtime.gateway import Gateway

WEBSOCKET_PATH = "ws/"

websocket_application = Gateway({WEBSOCKET_PATH: RoomConsumer.as_asgi()})
"""For the "websocket" of Channels' ProtocolTypeRouter."""
