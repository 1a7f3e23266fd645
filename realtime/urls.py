"""The HTTP addresses: the demo page and the health checks."""

from django.urls import path

from realtime import health, views

app_name = "realtime"

urlpatterns = [
    path("", views.index, name="index"),
    path("health/live", health.live, name="live"),
    path("health/ready", health.ready, name="ready"),
]
