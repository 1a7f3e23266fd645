"""The ASGI application: Django for HTTP, realtime for WebSockets.

Served by `shardlayer-daphne config.asgi:application`, and as well by Daphne, uvicorn or
`manage.py runserver`.
"""

from __future__ import annotations

import os

from channels.routing import ProtocolTypeRouter
from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
http = get_asgi_application()  # loads the apps, so it goes before realtime's import

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler  # noqa: E402

from demo.consumers import VisitorConsumer  # noqa: E402
from realtime.admin_gate import admin_application  # noqa: E402
from realtime.clients.gateway import Gateway  # noqa: E402
from realtime.event_streams.event_stream_gate import EventStreamGate  # noqa: E402
from realtime.health.health_gate import HealthGate  # noqa: E402
from realtime.lifespan import lifespan  # noqa: E402
from realtime.metrics.metrics_gate import MetricsGate  # noqa: E402
from realtime.routing import ADMIN_PATH, WEBSOCKET_PATH  # noqa: E402

if settings.SERVE_STATIC:
    http = ASGIStaticFilesHandler(http)

websocket = Gateway({WEBSOCKET_PATH: VisitorConsumer.as_asgi(), ADMIN_PATH: admin_application})

application = ProtocolTypeRouter(
    {
        "lifespan": lifespan,
        "http": HealthGate(MetricsGate(EventStreamGate(http))),
        "websocket": websocket,
    }
)
