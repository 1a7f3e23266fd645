"""The project's addresses: the admin, what realtime serves, and the demo's page."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("realtime.urls")),
    path("", include("demo.urls")),
]
