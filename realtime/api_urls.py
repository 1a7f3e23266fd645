"""The addresses of the HTTP API, for a project that wants it: docs/http-api.md.

path("api/", include("realtime.api_urls"))
"""

from django.urls import path

from realtime.api import api_views

app_name = "realtime_api"

urlpatterns = [
    path("publish", api_views.publish, name="publish"),
    path("announce", api_views.announce, name="announce"),
    path("batch", api_views.batch, name="batch"),
    path("openapi.json", api_views.openapi, name="openapi"),
]
