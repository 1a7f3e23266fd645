"""The addresses of that project, and two pages of its own."""

from __future__ import annotations

from itertools import count

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

_visits = count(1)


def page(request: HttpRequest) -> HttpResponse:
    """Answer who has signed in."""
    return HttpResponse("in")


@login_not_required
def visits(request: HttpRequest) -> HttpResponse:
    """Answer how often this was asked, and whether a transaction is around it."""
    return HttpResponse(f"{next(_visits)} {transaction.get_connection().in_atomic_block}")


urlpatterns = [
    path("page", page),
    path("visits", visits),
    path("admin/", admin.site.urls),
    path("api/", include("realtime.api_urls")),
    path("", include("realtime.urls")),
]
