"""The project's addresses, and the HTTP API."""

from django.urls import include, path

from config.urls import urlpatterns as urls_of_project

urlpatterns = [path("api/", include("realtime.api_urls")), *urls_of_project]
