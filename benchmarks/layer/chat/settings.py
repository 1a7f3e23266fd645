"""The Django settings of the chats, for their servers and their publishers."""

from __future__ import annotations

import os

SECRET_KEY = "of a benchmark"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["channels"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": os.environ.get("BENCHMARK_LAYER", "shardlayer.ShardedChannelLayer"),
        "CONFIG": {"hosts": [os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")]},
    }
}
USE_TZ = True
