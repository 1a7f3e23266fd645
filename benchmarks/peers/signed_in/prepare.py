"""Make a database with a user who is signed in, and print what lets a client in, as JSON."""

from __future__ import annotations

import json
from importlib import import_module

import django
from django.conf import settings
from django.core.management import call_command

from benchmarks.peers.base import ROOM


def main() -> None:
    """Print the session's cookie, and a token for the room."""
    django.setup()
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import User

    from realtime.room_tokens import sign_room

    call_command("migrate", verbosity=0)
    user = User.objects.create(username="ada", password="!")
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    cookie = f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
    print(json.dumps({"cookie": cookie, "token": sign_room(ROOM)}))


if __name__ == "__main__":
    main()
