"""The HTTP addresses: the health checks."""

from django.urls import path

from realtime.health import health_views

app_name = "realtime"

urlpatterns = [
    path("health", health_views.ready, name="health"),
    path("health/live", health_views.live, name="live"),
    path("health/ready", health_views.ready, name="ready"),
]
