"""Users whom credentials name, as the database has them: if they may still sign in.

They are read for many clients at once (`batched_reads.py` beside this).
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ObjectDoesNotExist, ValidationError

from realtime.access.batched_reads import BatchedReads
from realtime.access.credential import Credential


class Named(NamedTuple):
    """Whom a credential names: a primary key as text, and a digest of the password, or ""."""

    user_id: str | None
    password: str


class ActiveUsers(BatchedReads[Named, AbstractBaseUser | None]):
    """Reads users who may sign in, for the clients of one event loop."""

    def __init__(self) -> None:
        super().__init__(_active_user, "read users of tokens")


async def active_user(credential: Credential) -> AbstractBaseUser | None:
    """Read a credential's user, in the running event loop; raises what the database raises.

    None if they are gone or may not sign in any more, or if their password was changed since a
    token of ours was issued.
    """
    named = Named(credential.user_id, credential.password)
    return await ActiveUsers.of_running_loop().of(named)


def _active_user(named: Named) -> AbstractBaseUser | None:
    model = get_user_model()
    try:
        user: AbstractBaseUser = model._default_manager.get(
            pk=model._meta.pk.to_python(named.user_id)
        )
    except (ObjectDoesNotExist, ValidationError):
        return None
    if not user.is_active or named.password not in ("", *password_digests(user)):
        return None
    return user


def password_digests(user: AbstractBaseUser) -> list[str]:
    """Return what stands for a user's password in a token: by the present secret key, and former.

    It changes with the password, and does not show it.
    """
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return [sha256(text.encode()).hexdigest()[:16] for text in hashes]
