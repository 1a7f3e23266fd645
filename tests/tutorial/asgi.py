"""The tutorial's routing, with both versions of its consumer."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.tutorial.settings")

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import re_path

django_application = get_asgi_application()

from tests.tutorial.chat import consumers  # noqa: E402

urlpatterns: list[object] = []
application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": URLRouter(
            [
                re_path(r"ws/chat/(?P<room_name>\w+)/$", consumers.ChatConsumer.as_asgi()),
                re_path(r"ws/sync/(?P<room_name>\w+)/$", consumers.SyncChatConsumer.as_asgi()),
            ]
        ),
    }
)
