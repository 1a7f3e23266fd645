"""The demo page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from realtime.conf import conf
from realtime.routing import WEBSOCKET_PATH


def index(request: HttpRequest) -> HttpResponse:
    """Show the demo page and say which worker serves it."""
    settings = conf()
    return render(
        request,
        "realtime/index.html",
        {
            "worker": settings.worker,
            "workers": [
                {"name": name, "url": url, "current": name == settings.worker}
                for name, url in settings.workers.items()
            ],
            "websocket_path": f"{request.META.get('SCRIPT_NAME', '')}/{WEBSOCKET_PATH}",
        },
    )
