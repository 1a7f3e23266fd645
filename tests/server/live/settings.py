"""A project whose tests need a live server; run by tests/server/test_live.py."""

import os

SECRET_KEY = "live"
INSTALLED_APPS = ["channels"]
ALLOWED_HOSTS: list[str] = []
ASGI_APPLICATION = "tests.server.live.asgi.application"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.path.join(os.environ["DIRECTORY"], "db.sqlite3"),
        "TEST": {"NAME": os.path.join(os.environ["DIRECTORY"], "test.sqlite3")},
    },
}
