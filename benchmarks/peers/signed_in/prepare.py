"""Make a database of users who are signed in, and print what lets clients in, as JSON."""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path

import django
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from django.conf import settings
from django.core.management import call_command
from django.db import transaction

from benchmarks.peers.base import ROOM

PUBLIC_KEY, PRIVATE_KEY = "public.pem", "private.pem"  # of JWTs, in the folder
SIGNED_IN = 2_200  # users; as many as the clients of one round


def prepare(folder: Path) -> None:
    """Make the database and the keys; print the sessions' cookies and a token for the room."""
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
    private = generate_private_key(public_exponent=65_537, key_size=2_048)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / PUBLIC_KEY).write_bytes(public)
    (folder / PRIVATE_KEY).write_bytes(
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    print(json.dumps({"cookies": cookies, "token": sign_room(ROOM)}))


def issue(folder: Path) -> None:
    """Print tokens of now: what was issued before a worker's log began costs it a query."""
    django.setup()
    from django.contrib.auth.models import User

    from realtime.tokens import issue_token

    user, now = User.objects.earliest("pk"), int(time.time())
    said = {"sub": str(user.pk), "iat": now, "exp": now + 3_600}
    by_jwt = jwt.encode(said, (folder / PRIVATE_KEY).read_bytes(), "RS256")
    print(json.dumps({"user_token": issue_token(user), "jwt": by_jwt}))


if __name__ == "__main__":
    {"prepare": prepare, "issue": issue}[sys.argv[1]](Path(sys.argv[2]))
