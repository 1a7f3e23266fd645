"""The project's pages, and one that publishes."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from config.urls import urlpatterns as pages
from realtime import apublish, publish


@csrf_exempt
def publish_here(request: HttpRequest, room: str) -> HttpResponse:
    """Publish what the body says, from a thread."""
    publish(room, request.body.decode())
    return HttpResponse("published")


@csrf_exempt
async def publish_on_loop(request: HttpRequest, room: str) -> HttpResponse:
    """Publish what the body says, from the event loop."""
    await apublish(room, request.body.decode())
    return HttpResponse("published")


urlpatterns = [
    path("publish/<str:room>/", publish_here),
    path("apublish/<str:room>/", publish_on_loop),
    *pages,
]
