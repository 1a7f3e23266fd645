"""The application of a deployment that a load test makes: rooms, health checks and metrics."""

from __future__ import annotations

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

http = get_asgi_application()  # loads the apps, so it goes before realtime's import

from realtime.health.health_gate import HealthGate  # noqa: E402
from realtime.lifespan import lifespan  # noqa: E402
from realtime.metrics.metrics_gate import MetricsGate  # noqa: E402
from realtime.routing import websocket_application  # noqa: E402

application = ProtocolTypeRouter(
    {
        "lifespan": lifespan,
        "http": HealthGate(MetricsGate(http)),
        "websocket": websocket_application,
    }
)
