"""The settings of that project: transactions, a login and a cache around every page."""

from __future__ import annotations

import os

FOLDER = os.environ["STRICT_PROJECT"]  # where its databases are

SECRET_KEY = "a test's"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "realtime",
    "tests.realtime.custom_users",
]
AUTH_USER_MODEL = "custom_users.Customer"
MIDDLEWARE = [
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    alias: {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": f"{FOLDER}/{alias}.sqlite3",
        "ATOMIC_REQUESTS": True,
    }
    for alias in ("default", "other")
}
CACHE_MIDDLEWARE_SECONDS = 600
APPEND_SLASH = True
USE_TZ = False
TIME_ZONE = "Europe/Berlin"
STATIC_URL = "/static/"
ROOT_URLCONF = "tests.realtime.strict_project.urls"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "shardlayer.layer.ShardedChannelLayer",
        "CONFIG": {"hosts": ["memory://strict"]},
    }
}
REALTIME = {"ROOMS": {"*": {"subscribe": "anyone"}}}
