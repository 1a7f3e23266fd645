"""The HTTP addresses: the health checks."""

from django.urls import path

from realtime import health

app_name = "realtime"

urlpatterns = [
    path("health/live", health.live, name="live"),
    path("health/ready", health.ready, name="ready"),
]
