"""A project as the Channels tutorial leaves it; only CHANNEL_LAYERS names our layer."""

import os

SECRET_KEY = "tutorial"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["daphne", "channels"]
ROOT_URLCONF = "tests.tutorial.asgi"
ASGI_APPLICATION = "tests.tutorial.asgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "shardlayer.layer.ShardedChannelLayer",
        "CONFIG": {"hosts": [os.environ.get("REDIS_URL", "memory://tutorial")]},
    },
}
