"""Settings of a site whose consumers use a database in a file, which closing really closes."""

from __future__ import annotations

import os

SECRET_KEY = "of a test"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "channels"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["DATABASE"],
        "TEST": {"NAME": os.environ["DATABASE"]},
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "shardlayer.layer.ShardedChannelLayer",
        "CONFIG": {"hosts": [os.environ["HOST"]]},
    }
}
