"""Make a database of users who are signed in, and print what lets clients in, as JSON."""

from __future__ import annotations

import json
from importlib import import_module

import django
from django.conf import settings
from django.core.management import call_command
from django.db import transaction

from benchmarks.peers.base import ROOM

SIGNED_IN = 2_200  # users; as many as the clients of one round


def main() -> None:
    """Print the sessions' cookies, and a token for the room."""
    django.setup()
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import User

    from realtime.room_tokens import sign_room

    call_command("migrate", verbosity=0)
    users = User.objects.bulk_create(
        User(username=f"user-{number}", password=f"!{number}") for number in range(SIGNED_IN)
    )
    store = import_module(settings.SESSION_ENGINE).SessionStore
    cookies = []
    with transaction.atomic():
        for user in users:
            session = store()
            session[SESSION_KEY] = str(user.pk)
            session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
            session[HASH_SESSION_KEY] = user.get_session_auth_hash()
            session.create()
            session.save()
            cookies.append(f"{settings.SESSION_COOKIE_NAME}={session.session_key}")
    print(json.dumps({"cookies": cookies, "token": sign_room(ROOM)}))


if __name__ == "__main__":
    main()
