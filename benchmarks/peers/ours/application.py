"""What a project serves that takes realtime as it is: the demo's visitors cost more."""

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

http = get_asgi_application()  # loads the apps, so it goes before realtime's import

from realtime.lifespan import lifespan  # noqa: E402
from realtime.routing import websocket_application  # noqa: E402

application = ProtocolTypeRouter(
    {"lifespan": lifespan, "http": http, "websocket": websocket_application}
)
