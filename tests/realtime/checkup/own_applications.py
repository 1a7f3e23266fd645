"""ASGI applications with our routing, which go by the settings of the moment."""

from __future__ import annotations

import logging
import threading
from typing import Any

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

from realtime.routing import websocket_application

plain = get_asgi_application()
without_websocket = ProtocolTypeRouter({"http": plain})
ours = ProtocolTypeRouter({"http": plain, "websocket": websocket_application})

meanwhile: list[str] = []  # what was logged beside the probes


async def noisy(scope: Any, receive: Any, send: Any) -> None:
    """Be asked by somebody else as well, in a thread of the server, while a probe is under way."""
    if scope["type"] == "http":
        thread = threading.Thread(target=_log_of_another_client, args=(scope["path"],))
        thread.start()
        thread.join()
        await plain(scope, receive, send)
    else:
        await ours(scope, receive, send)


def _log_of_another_client(path: str) -> None:
    meanwhile.append(f"Not Found: /other{path}")
    logging.getLogger("django.request").warning("Not Found: /other%s", path)
