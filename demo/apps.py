"""The demo as a Django app: its templates, static files and commands."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Named in INSTALLED_APPS before staticfiles, whose `runserver` the demo replaces."""

    name = "demo"
