"""Addresses of a project with two admin sites, and the second site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from realtime.admin import register_pages

second = admin.AdminSite(name="second")
register_pages(second)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("second/", second.urls),
    path("", include("realtime.urls")),
]
