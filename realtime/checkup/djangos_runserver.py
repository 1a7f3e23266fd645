"""Whether `manage.py runserver` is Django's own, which serves pages over WSGI and no WebSocket."""

from __future__ import annotations

from django.core.management import get_commands

_DJANGOS = ("django.core", "django.contrib.staticfiles")


def is_runserver_djangos() -> bool:
    """Say whether no app of the project, such as `daphne`, brings a `runserver` of its own."""
    return get_commands().get("runserver") in _DJANGOS
