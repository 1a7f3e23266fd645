"""The HTTP addresses: health checks and metrics."""

from django.urls import path

from realtime.health import health_views
from realtime.metrics import metrics_view

app_name = "realtime"

urlpatterns = [
    path("health", health_views.ready, name="health"),
    path("health/live", health_views.live, name="live"),
    path("metrics", metrics_view.metrics, name="metrics"),
    path("health/ready", health_views.ready, name="ready"),
]
