"""Tells a client where the server keeps its data, and whose server it is."""

from channels.generic.websocket import JsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter
from django.conf import settings


class Teller(JsonWebsocketConsumer):  # type: ignore[misc]
    """Sends what it knows as the client connects."""

    def connect(self) -> None:
        self.accept()
        self.send_json(
            {
                "database": settings.DATABASES["default"]["NAME"],
                "extensions": sorted(self.scope["extensions"]),
            }
        )


application = ProtocolTypeRouter({"websocket": Teller.as_asgi()})
