"""A small project with our app, and with whatever others APPS names, for `runserver`."""

import os

SECRET_KEY = "a test's"
DEBUG = True
INSTALLED_APPS = [*os.environ["APPS"].split(), "realtime"]
ROOT_URLCONF = "tests.tutorial.asgi"
ASGI_APPLICATION = "tests.tutorial.asgi.application"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "shardlayer.layer.ShardedChannelLayer",
        "CONFIG": {"hosts": ["memory://runserver"]},
    }
}
