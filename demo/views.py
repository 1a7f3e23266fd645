"""The demo page."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from realtime.routing import WEBSOCKET_PATH

DOCS = "https://github.com/shardlayer/shardlayer/tree/main/docs"


def index(request: HttpRequest) -> HttpResponse:
    """Show the demo page and say which worker serves it."""
    worker, workers = settings.DEMO["WORKER"], settings.DEMO["WORKERS"]
    return render(
        request,
        "demo/index.html",
        {
            "worker": worker,
            "workers": [
                {"name": name, "url": url, "current": name == worker}
                for name, url in workers.items()
            ],
            "docs": DOCS,
            "websocket_path": f"{request.META.get('SCRIPT_NAME', '')}/{WEBSOCKET_PATH}",
        },
    )
