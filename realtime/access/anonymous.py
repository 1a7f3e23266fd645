"""Users, and nobody, for code that is imported in projects without django.contrib.auth, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from django.contrib.auth.base_user import AbstractBaseUser

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

User: TypeAlias = "AbstractBaseUser | AnonymousUser"


def anonymous_user() -> AnonymousUser:
    """Return nobody."""
    from django.contrib.auth.models import AnonymousUser  # which can't be imported without its app

    return AnonymousUser()
