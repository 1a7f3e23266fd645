"""The project's addresses: the admin, and all that realtime serves."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("realtime.urls")),
]
