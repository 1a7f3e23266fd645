"""Tokens that sign a WebSocket in where no cookie can: a page of another site, a program."""

from __future__ import annotations

from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core import signing
from django.core.exceptions import ObjectDoesNotExist, ValidationError

from realtime.conf import conf

_SALT = "realtime.token"


class BadToken(Exception):
    """The token is not one of ours, is too old, or is of a user who may not sign in."""


def issue_token(user: AbstractBaseUser) -> str:
    """Return a token for the `connect` command; good for `TOKEN_MAX_AGE` seconds.

    It is signed, not encrypted: it shows the user's primary key. It names no session, so it ends
    by age alone, or when the user is deleted or deactivated.
    """
    return signing.dumps(user._meta.pk.value_to_string(user), salt=_SALT)


async def user_of(token: str) -> AbstractBaseUser:
    """Return the user whom a token signs in.

    Raises:
        BadToken: It signs nobody in.
    """
    try:
        key = signing.loads(token, salt=_SALT, max_age=conf().token_max_age)
    except signing.SignatureExpired as error:
        raise BadToken("The token is too old.") from error
    except signing.BadSignature as error:
        raise BadToken("The token is not valid.") from error
    user: AbstractBaseUser = await _active_user(key)
    return user


@database_sync_to_async  # type: ignore[untyped-decorator]
def _active_user(key: str) -> AbstractBaseUser:
    model = get_user_model()
    try:
        user = model._default_manager.get(pk=model._meta.pk.to_python(key))
    except (ObjectDoesNotExist, ValidationError) as error:
        raise BadToken("The token's user is gone.") from error
    if not user.is_active:
        raise BadToken("The token's user may not sign in.")
    return user
