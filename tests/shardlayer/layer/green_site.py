"""A Django site that publishes from its views, for servers that patch the process they run in."""

from __future__ import annotations

import os

if os.environ.get("PRELOADED"):
    # Before all else, as gevent asks of who loads a site before its server forks.
    from gevent import monkey

    monkey.patch_all()

import django
from channels.layers import get_channel_layer
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "shardlayer.layer.ShardedChannelLayer",
            "CONFIG": {"hosts": [os.environ["REDIS_URL"]]},
        }
    },
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a test",
)
django.setup()


def publish(request: HttpRequest) -> JsonResponse:
    """Ask the database, publish, and ask again; say where it stands and which process did it."""
    _ask_database()
    position = get_channel_layer().publish_sync("room", request.GET["text"].encode())
    _ask_database()
    return JsonResponse({"offset": position.offset, "pid": os.getpid()})


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select 1")
        assert cursor.fetchone() == (1,)


if os.environ.get("PRELOADED"):  # its workers have what it opened, and must not use it
    get_channel_layer().publish_sync("room", b"0")

urlpatterns = [path("publish", publish)]
application = get_wsgi_application()
