"""The stock peer's settings, with sessions and users on SQLite."""

from benchmarks.peers.stock.settings import *  # noqa: F403
from config.settings import DATABASES, SECRET_KEY  # noqa: F401  # sessions that both peers read

INSTALLED_APPS = [
    "channels",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
]
