"""Django's settings of a deployment that a load test makes, out of the environment."""

import os

SECRET_KEY = os.environ["LOADTEST_SECRET_KEY"]
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "realtime"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
ROOT_URLCONF = "realtime.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "shardlayer.layer.ShardedChannelLayer",
        "CONFIG": {
            "hosts": os.environ["LOADTEST_HOSTS"].split(","),
            "shards": int(os.environ["LOADTEST_SHARDS"]),
            "lease_ttl": 5,  # seconds: after one of them only nodes with members are told
        },
    },
}
REALTIME = {"ROOMS": {"*": {"subscribe": "anyone"}}}
