"""The project's addresses: the admin, languages, what realtime serves, and the demo's page."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),  # to choose a language
    path("", include("realtime.urls")),
    path("", include("demo.urls")),
]
