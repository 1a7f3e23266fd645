"""The project's application without figures: nothing is measured, sampled or written down.

The counters that are one addition stay, since the layer's `stats()` are made of them.
"""

from __future__ import annotations

from django.core.asgi import get_asgi_application

get_asgi_application()  # loads the apps

from realtime.metrics import sampling  # noqa: E402
from shardlayer import Histogram  # noqa: E402


def _ignore(*_: object) -> None:
    pass


for owner, name in ((sampling, "start_sampling"), (Histogram, "observe")):
    setattr(owner, name, _ignore)  # before realtime.lifespan takes them

from config.asgi import application  # noqa: E402

__all__ = ["application"]
